"""`musenet backup` and `restore`: reports, exit statuses, and one line for a wrong use."""

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


def test_a_lake_comes_back_elsewhere(command: Command, lake: Lake, tmp_path: Path) -> None:
    to, new = tmp_path / "backups", tmp_path / "new"
    report = json.loads(command("backup", "--to", to, "--json", lake=lake.root).stdout)
    assert report["copied_files"] == report["files"] > 0
    checked = command("restore", to, "--check", lake=new)
    assert checked.stdout.splitlines()[1].startswith(f"checked {report['files']} files, ")
    assert not new.exists()
    restored = command("restore", to, lake=new)
    assert restored.stdout.splitlines()[0].startswith(f"backup {report['name']} of {lake.root}, ")
    assert restored.stdout.splitlines()[1].startswith(f"restored to {new}: {report['files']} files, ")
    assert [str(each) for each in dataset_versions(Lake(new))] == [str(each) for each in dataset_versions(lake)]


def test_a_damaged_lake_is_backed_up_with_status_1(command: Command, lake: Lake, tmp_path: Path) -> None:
    shard = next(lake.root.glob("datasets/*/*/train/*.parquet"))
    shard.write_bytes(b"flipped")
    result = command("backup", "--to", tmp_path / "a.tar", lake=lake.root)
    assert result.exit_code == 1
    assert f"damaged: {shard.relative_to(lake.root)} is not the file that was published" in result.stdout.splitlines()
    assert "damaged when it was backed up: " in command("restore", tmp_path / "a.tar", "--check").stdout


def test_the_variable_names_the_folder(
    command: Command, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSENET_BACKUPS", str(tmp_path / "of the variable"))
    assert command("backup", lake=lake.root).exit_code == 0
    assert (tmp_path / "of the variable" / "backups").is_dir()


def test_wrong_uses(command: Command, mistake: Mistake, lake: Lake, tmp_path: Path) -> None:
    line = mistake(command("backup", lake=lake.root))
    assert line == "no place for the backup: name a folder on another disk, or set MUSENET_BACKUPS"
    assert mistake(command("restore", tmp_path / "none")) == f"there is no backup at {tmp_path / 'none'}"
