"""The launcher: what it says of a job that fails, and what an interrupted one leaves. Whole jobs are in
`test_survival.py`."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from flows.training.hostfile import Host
from flows.training.launcher import JobFailed, _files_for_hosts, launch
from flows.training.runs import Run, prepare_run
from infra.errors import UserError
from infra.lake import Lake
from infra.locks import exclusive
from modeling.config import load_preset, with_settings
from modeling.training.events import Event, Failed, Interrupted, StepTrained
from modeling.training.run_folder import RunFolder
from tokenization.dataset import open_version

pytestmark = pytest.mark.slow

HERE = [Host("localhost", 1)]
SHAPE = {"model.layers": 1, "model.d_model": 16, "model.context": 64}


@pytest.fixture
def run(studio, tmp_path: Path) -> Run:
    """A run on a dataset version whose training shard has been lost."""
    version = studio[1]
    shutil.copytree(version.folder, tmp_path / "songs" / version.digest)
    damaged = open_version(tmp_path / "songs" / version.digest)
    (damaged.folder / "train" / "00000.parquet").unlink()
    preset = with_settings(load_preset("tiny"), {**SHAPE, "training.steps": 2})
    return prepare_run(Lake(tmp_path), damaged, preset, ranks=1)


def ranks() -> list[psutil.Process]:
    """Those that this process has started."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "modeling.training.train" in child.cmdline()]


def test_a_failing_job_is_one_line_with_its_reason_and_log(run: Run, tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(JobFailed) as error:
        launch(Lake(tmp_path), run, HERE, events.append)
    message = str(error.value)
    assert message.startswith("training failed: ")
    assert "00000.parquet is missing although dataset.json lists it: ingest again" in message
    assert message.endswith(f"the whole log: {run.folder.log}")
    assert "\n" not in message
    assert error.value.permanent, "another attempt would not find it, either"
    assert [type(event) for event in events] == [Failed]
    assert not run.folder.has_model
    assert ranks() == []


def test_an_interrupted_job_saves_the_step_it_was_at(studio, tmp_path: Path) -> None:
    lake, small = Lake(tmp_path), {"batch_size": 2, "micro_batch_size": 2, "steps": 100_000}
    preset = with_settings(load_preset("tiny"), {**SHAPE, **{f"training.{key}": n for key, n in small.items()}})
    run = prepare_run(lake, studio[1], preset, ranks=1)
    events: list[Event] = []

    def interrupt(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepTrained) and event.step == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(lake, run, HERE, interrupt)
    assert isinstance(stopped := events[-1], Interrupted)
    assert (run.folder.checkpoints / f"step{stopped.step:08}").is_dir()
    assert not run.folder.has_model
    assert ranks() == []


def test_two_processes_do_not_train_one_run(run: Run, tmp_path: Path) -> None:
    with (
        exclusive(run.folder.lock, ""),
        pytest.raises(UserError, match=f"run {run.run_id} is being trained by another process"),
    ):
        launch(Lake(tmp_path), run, HERE, lambda _: None)
    assert not run.folder.log.exists()


def test_a_rank_alone_that_is_killed_is_told_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.training.launcher.RANK_MODULE", "rank")
    (run.folder.path / "rank.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(JobFailed, match="training failed: a rank was killed by signal 9; the whole log"):
        launch(Lake(tmp_path), run, HERE, lambda _: None)


class TestFilesForOtherHosts:
    ENVIRONMENT: ClassVar = {"NCCL_SOCKET_IFNAME": "eth0"}

    def test_are_the_owner_s_and_gone_with_the_job(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path)
        with _files_for_hosts(folder, [Host("a", 1), Host("b", 2)], self.ENVIRONMENT):
            assert folder.hostfile.read_text() == "a slots=1\nb slots=2\n"
            assert "NCCL_SOCKET_IFNAME=eth0\n" in folder.remote_environment.read_text()
            assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
        assert list(tmp_path.iterdir()) == []

    def test_are_none_for_this_machine(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path)
        folder.remote_environment.write_text("HF_TOKEN=of a killed job of an earlier version")
        with _files_for_hosts(folder, HERE, self.ENVIRONMENT):
            assert not folder.hostfile.exists()
        assert list(tmp_path.iterdir()) == []
