"""`musenet upgrade`: a report, and an exit status."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Command = Callable[..., Result]


def test_it_says_what_a_lake_is_of(
    command: Command, mistake: Callable[[Result], str], catalogue, tmp_path: Path
) -> None:
    lake = tmp_path / "copy"
    shutil.copytree(catalogue.lake.root / "datasets", lake / "datasets")
    result = command("upgrade", "--check", lake=lake)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "dataset versions: 2 can be read"
    report = json.loads(command("upgrade", "--json", lake=lake).stdout)
    assert report["databases"] == []
    run = lake / "runs" / "0123456789ab"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    assert command("upgrade", lake=lake).exit_code == 1
    assert mistake(command("upgrade", lake=tmp_path / "none")).endswith("is no lake; name one with --lake")
