"""`musenet gc`: a list first, and one line for a wrong use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from infra.lake import Lake
from tokenization.dataset import dataset_versions

Command = Callable[..., Result]
Mistake = Callable[[Result], str]


@pytest.fixture
def lake(tmp_path: Path, catalogue) -> Lake:
    """A copy of a lake with two versions of one dataset."""
    for name in ("datasets", "pieces"):
        shutil.copytree(catalogue.lake.root / name, tmp_path / "copy" / name)
    return Lake(tmp_path / "copy")


def test_lists_first_and_removes_with_yes(command: Command, lake: Lake) -> None:
    before, after = dataset_versions(lake)
    listed = command("gc", "--older-than", "0d", lake=lake.root)
    assert listed.exit_code == 0, listed.output
    assert f"{after} stays: the newest" in listed.stdout
    assert f"  datasets/mine/{before.digest}  " in listed.stdout
    assert "would be removed; `musenet gc --yes` removes them" in listed.stdout.splitlines()[-1]
    assert dataset_versions(lake) == [before, after]

    report = json.loads(command("gc", "--older-than", "0d", "--yes", "--json", lake=lake.root).stdout)
    assert report["removed"] is True
    assert report["classes"]["dataset versions"]["items"] == 1
    assert report["bytes"] == sum(item["bytes"] for item in report["items"]) > 0
    assert report["kept"] == [{"version": f"mine@{after.digest}", "reason": "the newest"}]
    assert dataset_versions(lake) == [after]
    assert command("gc", "--older-than", "0d", lake=lake.root).stdout.splitlines()[-1] == "nothing to remove"


def test_wrong_uses(command: Command, mistake: Mistake, tmp_path: Path) -> None:
    assert mistake(command("gc", "--older-than", "soon", lake=tmp_path)).startswith("'soon' is no age; write")
    assert mistake(command("gc", lake=tmp_path / "none")).endswith("is no lake; name one with --lake")
