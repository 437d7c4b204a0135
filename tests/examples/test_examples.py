"""The example scripts run as they are, one after the other in this process and on one small lake."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from tokenization.midi import read_midi

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Home:
    """A folder with `midi/{bach,jazz}`, one broken file among them, and with the lake."""

    folder: Path
    printed: str
    """What ingesting it has printed."""


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, song: Callable[[int], bytes]) -> Home:
    home = tmp_path_factory.mktemp("examples")
    for number, style in enumerate(("bach", "jazz")):
        folder = home / "midi" / style
        folder.mkdir(parents=True)
        for index in range(20):
            (folder / f"{index:02}.mid").write_bytes(song(100 * number + index))
    (home / "midi" / "bach" / "broken.mid").write_bytes(b"no music")
    return Home(home, run(home, "ingest_and_inspect.py", str(home / "midi"), "--name", "mine"))


@pytest.fixture(scope="module")
def home(ingested: Home) -> Path:
    return ingested.folder


def run(home: Path, script: str, *arguments: str) -> str:
    """Run an example in `home`, as the main program; return what it printed."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.chdir(home)
        patch.setenv("MUSENET_LAKE", str(home / "lake"))
        patch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
    return printed.getvalue()


def test_ingest_and_inspect(ingested: Home) -> None:
    assert ingested.printed.startswith("mine@")
    assert "(reused)" not in ingested.printed
    assert "refused: bach/broken.mid: not_midi (no MThd header)" in ingested.printed


def test_open_a_dataset_in_polars(home: Path) -> None:
    printed = run(home, "open_a_dataset_in_polars.py", "mine", "--out", "first.mid")
    assert " piano start tempo120 piano:v80:" in printed
    assert len(read_midi((home / "first.mid").read_bytes())) == 40


def test_query_with_duckdb(home: Path) -> None:
    printed = run(home, "query_with_duckdb.py", "mine", "--database", "mine.duckdb")
    assert "  accepted    40" in printed
    assert "  quarantined  not_midi  1" in printed
    assert "  bach  train  16  " in printed
    assert (home / "mine.duckdb").is_file()


@pytest.mark.thorough  # the calls are those of README.md, which tests/docs runs
def test_train_and_sample(home: Path) -> None:
    printed = run(home, "train_and_sample.py", "mine", "--style", "bach", "--steps", "2", "--length", "64")
    assert "2 steps" in printed
    assert "version 1, alias champion" in printed
    assert len(list((home / "songs").glob("bach-piano-*.mid"))) == 1
