"""The pool of worker processes: an item that crashes, hangs or exhausts its worker costs exactly that item.

The failing functions do so for real, in real processes.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.engines import Failure, JobError, Pool, WorkerSettings

GIGABYTE = 2**30
PLENTY = 8 * GIGABYTE


@pytest.fixture
def failing(tmp_path: Path, failing_functions: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "failing_functions.py").write_text(failing_functions)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "failing_functions", raising=False)
    before = workers()
    yield importlib.import_module("failing_functions")
    assert workers() == before, "a worker is left behind"


def workers() -> list[int]:
    return [child.pid for child in psutil.Process().children() if "spawn_main" in " ".join(command_line(child))]


def command_line(process: psutil.Process) -> list[str]:
    """The command line of a process; empty for one that has ended, as children of other files' tests may have."""
    found: list[str] = process.as_dict(["cmdline"], ad_value=[])["cmdline"]
    return found


def outcomes(
    failing: Any, *jobs: list[Any], workers: int = 2, timeout: float = 60.0, memory: int = PLENTY
) -> list[Any]:
    """Run jobs and return the outcomes of the items of each."""
    found: dict[int, Any] = {}
    with Pool(workers, WorkerSettings(timeout, memory, failing.ready)) as pool:
        for index, result in pool.run(failing.act, [failing.Job(tuple(items), {}) for items in jobs]):
            assert index not in found, "a job came back twice"
            found[index] = result
    return [found[index] for index in range(len(jobs))]


def test_every_job_comes_back_with_its_index(failing: Any) -> None:
    jobs = [[number, number + 1] for number in range(20)]
    assert outcomes(failing, *jobs) == [[2 * item for item in items] for items in jobs]


def test_no_job_is_no_work(failing: Any) -> None:
    assert outcomes(failing) == []


def test_work_is_shared_among_processes_other_than_this(failing: Any) -> None:
    pids = {pid for pids in outcomes(failing, *[["which"] * 10] * 8) for pid in pids}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_workers_stay_for_the_next_run(failing: Any) -> None:
    with Pool(1, WorkerSettings(60.0, PLENTY, failing.ready)) as pool:
        pids = {pid for _ in range(3) for _, [pid] in pool.run(failing.act, [failing.Job(("which",), {})])}
    assert len(pids) == 1


@pytest.mark.parametrize("how", ["crash", "abort", "leave"])
def test_an_item_that_ends_its_worker_is_the_only_loss(failing: Any, how: str) -> None:
    assert outcomes(failing, [1, 2], [3, how, 4], [5]) == [[2, 4], [6, Failure.CRASHED, 8], [10]]


def test_several_failing_items_in_a_job(failing: Any) -> None:
    crashed = Failure.CRASHED
    found = outcomes(failing, [1, "crash", "crash", 2, "crash"], workers=1)
    assert found == [[2, crashed, crashed, 4, crashed]]


def test_an_item_that_hangs_is_the_only_loss(failing: Any) -> None:
    assert outcomes(failing, [1, "hang", 3], [4], timeout=1.0) == [[2, Failure.TIMED_OUT, 6], [8]]


def test_getting_ready_counts_against_no_item(failing: Any) -> None:
    with Pool(1, WorkerSettings(1.0, PLENTY, failing.slow_start)) as pool:
        assert list(pool.run(failing.act, [failing.Job((1,), {})])) == [(0, [2])]


def test_a_worker_that_never_gets_ready_is_told(failing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engines.pool.START_SECONDS", 0.2)
    with (
        Pool(1, WorkerSettings(60.0, PLENTY, failing.slow_start)) as pool,
        pytest.raises(JobError, match=r"^a worker process was not ready within 0\.2 s"),
    ):
        list(pool.run(failing.act, [failing.Job((1,), {})]))


def test_memory_is_limited(failing: Any) -> None:
    with pytest.raises(JobError, match="MemoryError"):
        outcomes(failing, ["eat"], memory=GIGABYTE)


def test_an_error_that_is_no_items_fault_ends_the_run_with_its_words(failing: Any) -> None:
    with pytest.raises(JobError, match="ValueError: the disk is full"):
        outcomes(failing, [1], ["raise"], ["hang"])


def test_a_pool_goes_on_after_a_failed_run(failing: Any) -> None:
    with Pool(2, WorkerSettings(60.0, PLENTY, failing.ready)) as pool:
        with pytest.raises(JobError):
            list(pool.run(failing.act, [failing.Job(("raise",), {}), failing.Job(("hang",), {})]))
        assert list(pool.run(failing.act, [failing.Job((4,), {})])) == [(0, [8])]


def test_a_worker_that_ends_outside_of_any_item_is_no_items_fault(failing: Any) -> None:
    with (
        Pool(1, WorkerSettings(60.0, PLENTY, failing.ready)) as pool,
        pytest.raises(JobError, match="ended outside of any item"),
    ):
        list(pool.run(failing.crash_between_items, [failing.Job((1,), {})]))


def test_results_larger_than_a_pipe_holds(failing: Any) -> None:
    assert [len(item) for items in outcomes(failing, *[["large"]] * 3) for item in items] == [2**23] * 3


def test_a_caller_that_stops_early_leaves_no_worker_at_work(failing: Any) -> None:
    with Pool(2, WorkerSettings(60.0, PLENTY, failing.ready)) as pool:
        results = pool.run(failing.act, [failing.Job(("hang",), {}), failing.Job((1,), {})])
        assert next(results) == (1, [2])
        results.close()
        assert list(pool.run(failing.act, [failing.Job((4,), {})])) == [(0, [8])]


def test_ctrl_c_is_the_callers_to_handle(failing: Any) -> None:
    with Pool(1, WorkerSettings(60.0, PLENTY, failing.ready)) as pool:
        results = pool.run(failing.act, [failing.Job(("which",), {})] * 10)
        _, [pid] = next(results)
        os.kill(pid, signal.SIGINT)
        time.sleep(0.1)
        assert [[pid]] * 9 == [other for _, other in results]


PARENT = """
import os, signal, sys, threading, time
import failing_functions
from flows.engines import Pool, WorkerSettings

if __name__ == "__main__":
    with Pool(2, WorkerSettings(60.0, 2**33, failing_functions.ready)) as pool:
        results = pool.run(failing_functions.act, [failing_functions.Job((what,), {}) for what in ("hang", "which")])
        print(next(results)[1][0], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_parent(failing: Any, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, tmp_path / "parent.py"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert process.returncode == -signal.SIGKILL, process.stderr
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(process.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(int(process.stdout))
