"""The run folder: one definition of its layout, and runs in the order in which they were started."""

from __future__ import annotations

import os
from pathlib import Path

from modeling.training.run_folder import RunFolder, run_folders


def test_the_layout(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "0123456789ab")
    assert folder.run_id == "0123456789ab"
    assert str(folder) == str(tmp_path / "0123456789ab")
    paths = {
        "run.json": folder.config,
        "metrics.jsonl": folder.metrics,
        "train.log": folder.log,
        "checkpoints": folder.checkpoints,
        "best": folder.best,
        "model": folder.model,
        "critic": folder.critics,
        "hostfile": folder.hostfile,
        ".deepspeed_env": folder.remote_environment,
        ".lock": folder.lock,
    }
    assert {name: folder.path / name for name in paths} == paths


def test_a_model_is_there_once_its_folder_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.has_model
    folder.model.mkdir()
    assert folder.has_model


def test_runs_are_listed_by_the_time_of_their_start(tmp_path: Path) -> None:
    for name, start in (("b", 100), ("a", 200), ("c", 50)):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.config.write_text("{}")
        os.utime(folder.config, (start, start))
    (tmp_path / "no-run").mkdir()
    assert [folder.run_id for folder in run_folders(tmp_path)] == ["c", "b", "a"]
    assert run_folders(tmp_path / "none") == []
