"""Worker processes: an item that kills, hangs or fills its worker costs exactly that item.

The guilty functions really do it, in real processes.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.ingestion.workers import Failure, Pool

GIGABYTE = 2**30
PLENTY = 8 * GIGABYTE

# Worker processes must be able to import what they run; a test file is no module that they know.
SCRIPT = """
import os, signal, time

def act(item):
    if item == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "abort":
        os.abort()
    if item == "leave":
        os._exit(0)
    if item == "hang":
        time.sleep(600)
    if item == "eat":
        return len(bytearray(64 * 2**30))
    if item == "raise":
        raise ValueError("a bad piece")
    if item == "large":
        return bytes(2**23)
    return item * 2

def which(item):
    time.sleep(0.02)
    return os.getpid()
"""


@pytest.fixture
def guilty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "guilty_functions.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "guilty_functions", raising=False)
    before = workers()
    yield importlib.import_module("guilty_functions")
    assert workers() == before, "a worker is left behind"


def workers() -> list[int]:
    children = psutil.Process().children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def outcomes(
    guilty: Any, items: list[Any], workers: int = 2, timeout: float = 60.0, memory: int = PLENTY
) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for index, result in Pool(guilty.act, workers, timeout, memory).run(items):
        assert index not in found, "an item came back twice"
        found[index] = result
    return found


def doubled_but(items: list[Any], failures: dict[int, Failure]) -> dict[int, Any]:
    return {index: failures.get(index) or item * 2 for index, item in enumerate(items)}


def test_every_item_comes_back_with_its_index(guilty: Any) -> None:
    items = list(range(100))
    assert outcomes(guilty, items) == doubled_but(items, {})


def test_no_item_is_no_work(guilty: Any) -> None:
    assert outcomes(guilty, []) == {}


def test_more_workers_than_items(guilty: Any) -> None:
    assert outcomes(guilty, [1, 2], workers=5) == {0: 2, 1: 4}


def test_work_is_shared_among_processes_other_than_this(guilty: Any) -> None:
    pids = {pid for _, pid in Pool(guilty.which, 2, 60.0, PLENTY).run(range(60))}
    assert len(pids) == 2
    assert os.getpid() not in pids


@pytest.mark.parametrize("how", ["crash", "abort", "leave"])
def test_an_item_that_ends_its_worker_is_the_only_loss(guilty: Any, how: str) -> None:
    items: list[Any] = list(range(80))
    items[40] = how
    assert outcomes(guilty, items) == doubled_but(items, {40: Failure.CRASHED})


def test_several_guilty_items_in_a_row(guilty: Any) -> None:
    items = [1, "crash", "crash", 2, "crash"]
    failures = dict.fromkeys([1, 2, 4], Failure.CRASHED)
    assert outcomes(guilty, items, workers=1) == doubled_but(items, failures)


def test_an_item_that_hangs_is_the_only_loss(guilty: Any) -> None:
    items = [1, 2, "hang", 3, 4]
    assert outcomes(guilty, items, timeout=4.0) == doubled_but(items, {2: Failure.TIMED_OUT})


def test_an_item_that_takes_too_much_memory_is_the_only_loss(guilty: Any, capfd: pytest.CaptureFixture[str]) -> None:
    items = [1, "eat", 2]
    assert outcomes(guilty, items, memory=GIGABYTE) == doubled_but(items, {1: Failure.CRASHED})


def test_an_item_that_raises_is_the_only_loss(guilty: Any, capfd: pytest.CaptureFixture[str]) -> None:
    items = [1, "raise", 2]
    assert outcomes(guilty, items) == doubled_but(items, {1: Failure.CRASHED})


def test_results_larger_than_a_pipe_holds(guilty: Any) -> None:
    found = outcomes(guilty, ["large"] * 3)
    assert [len(found[index]) for index in range(3)] == [2**23] * 3


def test_a_caller_that_stops_early_leaves_no_worker(guilty: Any) -> None:
    results = Pool(guilty.act, 2, 60.0, PLENTY).run(["hang", 1, 2])
    assert next(results)[1] in (2, 4)
    results.close()


def test_ctrl_c_is_the_callers_to_handle(guilty: Any) -> None:
    results = Pool(guilty.which, 1, 60.0, PLENTY).run(range(20))
    _, pid = next(results)
    os.kill(pid, signal.SIGINT)
    time.sleep(0.1)
    assert [pid] * 19 == [other for _, other in results]
