"""`musenet originality`: a file is compared with the training pieces of a dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from flows.cli import musenet
from infra.lake import Lake
from tokenization.dataset import Description, write_description, write_manifest, write_vocabulary
from tokenization.dataset.manifest import SCHEMA
from tokenization.encodings import get_encoding
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi
from tokenization.originality import write_index
from tokenization.vocabulary import Vocabulary

DIGEST, TUNE = "ab" * 16, "cd" * 32


def tune(seed: int, semitones: int = 0) -> Notes:
    """A melody of wandering intervals and uneven times."""
    generator = np.random.default_rng(seed)
    pitch = 50 + semitones + np.abs(np.cumsum(generator.integers(-5, 6, 80)) % 48 - 24)
    length = generator.choice([0.25, 0.5, 0.5, 0.75, 1.0], 80)
    onset = np.concatenate([[0], np.cumsum(length)[:-1]])
    return Notes.from_columns(onset, length * 0.9, pitch, [80] * 80, [0] * 80, [False] * 80)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, make_description: Callable[..., Description]) -> Lake:
    """A dataset of one training piece, `c/tune.mid`, and a second version without an index."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    encoding = get_encoding("combined", Vocabulary.load("musenet"))
    for digest in (DIGEST, "ef" * 16):
        folder = lake.root / "datasets" / "songs" / digest
        folder.mkdir(parents=True)
        file = {"path": "tune.mid", "collection": "c", "sha256": TUNE, "split": "train", "status": "accepted"}
        write_manifest(folder / "manifest.parquet", pl.DataFrame([file], schema=SCHEMA))
        write_vocabulary(folder, encoding.vocabulary)
        write_description(folder, make_description(encoding, digest=digest))
    index = lake.root / "datasets" / "songs" / DIGEST / "originality"
    index.mkdir()
    write_index(index / "00000.index", [(TUNE, TUNE, encoding.quantised(tune(1)))])
    return lake


def run(lake: Lake, notes: Notes, *words: str, dataset: str = f"songs@{DIGEST}") -> Result:
    file = lake.root / "sample.mid"
    file.write_bytes(write_midi(notes))
    return CliRunner().invoke(
        musenet, ["originality", str(file), "--dataset", dataset, "--lake", str(lake.root), *words]
    )


def test_a_copy_is_named_with_place_and_key(lake: Lake) -> None:
    first, near = run(lake, tune(1, semitones=2)).stdout.splitlines()
    assert first.startswith("copy: 80 notes, ")
    assert first.endswith("at 0.0 s; in tune.mid at 0.0 s, +2 semitones")
    assert near == "near: 100.0% of its notes in tune.mid"


def test_another_piece_has_nothing_in_common(lake: Lake) -> None:
    assert run(lake, tune(2)).stdout == "nothing in common with 1 training piece\n"
    assert json.loads(run(lake, tune(2), "--json").stdout) == {"copy": None, "commonplace": None, "nearest": []}


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("tunes", "no dataset 'tunes'; there are: songs"),
        ("songs@ef", "holds no originality index: it was ingested with `--set originality=false`"),
    ],
)
def test_what_is_not_there_ends_in_one_line(lake: Lake, dataset: str, message: str) -> None:
    result = run(lake, tune(2), dataset=dataset)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_no_music_ends_in_one_line(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "page.mid"
    file.write_text("<html>")
    words = ["originality", str(file), "--dataset", "songs", "--lake", str(lake.root)]
    result = CliRunner().invoke(musenet, words)
    assert result.exit_code == 2
    assert "page.mid cannot be used: not_midi" in result.stderr
