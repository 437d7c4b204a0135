"""`musenet export`: what it writes, and one line for a wrong use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Command = Callable[..., Result]
Mistake = Callable[[Result], str]


def test_writes_either_form(command: Command, catalogue, tmp_path: Path) -> None:
    pieces = sum(catalogue.after.description.pieces.values())
    done = command("export", "mine", "--to", tmp_path / "hub", lake=catalogue.lake.root)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{tmp_path / 'hub'}: {pieces} rows, ")
    assert (tmp_path / "hub" / "README.md").is_file()
    words = ("export", f"mine@{catalogue.before.digest}", "--as", "midi", "--to", tmp_path / "midi", "--json")
    report = json.loads(command(*words, lake=catalogue.lake.root).stdout)
    assert report["version"] == f"mine@{catalogue.before.digest}"
    assert report["rows"] == len(list((tmp_path / "midi").rglob("*.mid")))


def test_wrong_uses(command: Command, mistake: Mistake, catalogue, tmp_path: Path) -> None:
    def line(*words: object) -> str:
        return mistake(command("export", *words, lake=catalogue.lake.root))

    assert line("nothing", "--to", tmp_path / "a").startswith("no dataset 'nothing'; there are: ")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "b").touch()
    assert line("mine", "--to", tmp_path / "full") == f"{tmp_path / 'full'} is not empty; name a new folder"
