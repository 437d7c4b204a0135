"""The guard: nothing of a job outlives who launched it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from infra.processes import group_members, still_runs

JOB = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
sys.stdin.read() if "watches" in sys.argv else time.sleep(600)
"""


def guarded(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.training.guard", sys.executable, *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def job() -> Iterator[subprocess.Popen[str]]:
    process = guarded("-c", JOB, "watches")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    for member in group_members(process.pid):
        member.kill()


def gone(processes: list[psutil.Process]) -> bool:
    deadline = time.monotonic() + 60
    while any(map(still_runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(still_runs, processes))


def test_a_job_that_ends_leaves_its_exit_status() -> None:
    assert guarded("-c", "raise SystemExit(3)").wait() == 3
    assert guarded("-c", "import os; os.kill(os.getpid(), 9)").wait() == 128 + 9


def test_the_job_ends_with_its_launcher(job: subprocess.Popen[str]) -> None:
    members = group_members(job.pid)
    assert len(members) == 3, "guard, job and the job's child"
    assert job.stdin is not None
    job.stdin.close()
    assert gone(members)


def test_ranks_that_watch_their_input_end_with_the_guard(job: subprocess.Popen[str]) -> None:
    watching = psutil.Process(job.pid).children()
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert gone(watching)


def test_it_needs_nothing_that_takes_long_to_load() -> None:
    code = "import sys, flows.training.guard; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert not {"torch", "deepspeed", "prefect", "mlflow", "pydantic", "polars"} & set(loaded)
