"""Survival: a job that is killed leaves nothing behind, and the next one ends with the same weights.

Real jobs on two ranks, five launches. Piece by piece `test_launcher.py` shows a killed rank, `test_guard.py` a killed
flow, `modeling/training/test_checkpoints.py` a torn checkpoint and two ranks that go on exactly, `test_launcher.py`
Ctrl-C; `tests/benchmarks/survival.py` kills more of them, at random.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flows.training.hostfile import Host
from flows.training.launcher import JobFailed, launch
from flows.training.runs import Run, prepare_run
from infra.lake import Lake
from infra.processes import still_runs
from modeling.config import load_preset, with_settings
from modeling.training.events import CheckpointSaved, Event, Interrupted, RunStarted, StepTrained, Warned, read_events
from tokenization.dataset import DatasetVersion

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(900)]

HOSTS = [Host("localhost", 2)]
STEPS = 80
SETTINGS = {
    "model.layers": 1,
    "model.heads": 2,
    "model.d_model": 16,
    "model.context": 64,
    "training.steps": STEPS,
    "training.batch_size": 2,
    "training.micro_batch_size": 1,
    "training.checkpoint_every": 5,
    "training.evaluate_every": STEPS,
}
LAUNCH = """
import sys
from pathlib import Path
from infra.lake import Lake
from flows.training.hostfile import Host
from flows.training.launcher import launch
from flows.training.runs import read_run
from modeling.training.run_folder import RunFolder
launch(Lake(Path(sys.argv[1])), read_run(RunFolder(Path(sys.argv[2]))), [Host("localhost", 2)], lambda _: None)
"""


def prepared(lake: Lake, dataset: DatasetVersion) -> Run:
    return prepare_run(lake, dataset, with_settings(load_preset("tiny"), SETTINGS), ranks=2)


def trained(lake: Lake, run: Run) -> list[Event]:
    """Run the job to its end; return its events."""
    events: list[Event] = []
    launch(lake, run, HOSTS, events.append)
    return events


def model_files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.folder.model.iterdir())}


def job_of(flow: int) -> list[psutil.Process]:
    """All processes of the job that a process has launched: each of them names what the ranks run."""
    return [
        each for each in psutil.Process(flow).children(recursive=True) if "modeling.training.train" in each.cmdline()
    ]


def checkpoints(run: Run) -> int:
    return sum(isinstance(event, CheckpointSaved) for event in read_events(run.folder.metrics))


def wait_for(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()


@pytest.fixture(scope="module")
def whole(studio, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The model's files after an uninterrupted run."""
    lake = Lake(tmp_path_factory.mktemp("whole"))
    run = prepared(lake, studio[1])
    events = trained(lake, run)
    assert [event.step for event in events if isinstance(event, StepTrained)] == [*range(1, STEPS + 1)]
    return model_files(run)


def test_whatever_is_killed_the_weights_are_the_same(studio, whole: dict[str, bytes], tmp_path: Path) -> None:
    """One run: first a rank is killed, then it is interrupted, then the flow is killed, then the newest checkpoint is
    torn; launches cost seconds."""
    lake = Lake(tmp_path)
    run = prepared(lake, studio[1])
    job: list[psutil.Process] = []

    def kill_a_rank(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and not job:
            job.extend(job_of(os.getpid()))
            next(each for each in job if "--local_rank=1" in each.cmdline()).kill()

    with pytest.raises(JobFailed) as error:
        launch(lake, run, HOSTS, kill_a_rank)
    assert str(error.value) == f"training failed: a rank was killed by signal 9; the whole log: {run.folder.log}"
    assert not error.value.permanent, "another attempt may succeed"
    assert len(job) == 4, "guard, launcher and two ranks"
    assert not any(map(still_runs, job))

    def interrupt(event: Event) -> None:
        seen.append(event)
        if isinstance(event, StepTrained) and sum(isinstance(each, StepTrained) for each in seen) == 1:
            raise KeyboardInterrupt

    seen: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        launch(lake, run, HOSTS, interrupt)
    stopped = seen[-1]
    assert isinstance(stopped, Interrupted)
    assert (run.folder.checkpoints / f"step{stopped.step:08}").is_dir(), "both ranks have saved the step they were at"

    before = checkpoints(run)
    flow = subprocess.Popen([sys.executable, "-c", LAUNCH, tmp_path, run.folder.path])
    assert wait_for(lambda: checkpoints(run) >= before + 2, 300)
    job = job_of(flow.pid)
    assert len(job) == 4
    flow.send_signal(signal.SIGKILL)
    flow.wait()
    assert wait_for(lambda: not any(map(still_runs, job)), 20), "orphans"
    assert not run.folder.has_model

    newest = max(run.folder.checkpoints.glob("step*"))
    largest = max(newest.iterdir(), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    warning, start, *_ = trained(lake, run)
    assert isinstance(warning, Warned) and isinstance(start, RunStarted)
    assert newest.name in warning.message
    assert 5 <= start.step < int(newest.name.removeprefix("step")), "it goes on from the one before"
    assert model_files(run) == whole
