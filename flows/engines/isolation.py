"""Process isolation on a cluster: each job runs in a child process of the cluster's own worker.

The cluster's worker must survive a hostile file. The child process, a `Pool` of one, waits a while for the next job
of the same run.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from typing import Any

from flows.engines.heartbeat import Heartbeat
from flows.engines.pool import Pool
from flows.engines.worker import WorkerSettings

IDLE_SECONDS = 60.0
"""A process without a job for that long ends: its run may have been killed."""

_lock = threading.Lock()
_idle: dict[str, list[tuple[Pool, threading.Timer]]] = {}
"""Idle processes by run; an engine may run several jobs in the threads of one process."""


def run_isolated(run: str, function: Callable[[Any, Heartbeat], Any], job: Any, settings: WorkerSettings) -> Any:
    """Return the result of one job of a run, computed in a child process. Raises JobError."""
    pool = _take(run) or _start(settings)
    try:
        ((_, result),) = pool.run(function, [job])
        return result
    finally:  # a failed job leaves the pool usable
        timer = threading.Timer(IDLE_SECONDS, _take_and_end, [run])
        timer.daemon = True
        with _lock:
            _idle.setdefault(run, []).append((pool, timer))
        timer.start()


def release(run: str) -> None:
    """End this machine's idle processes of a finished run."""
    while _take_and_end(run):
        pass


def _start(settings: WorkerSettings) -> Pool:
    # Dask's workers are daemonic and may have no children, lest these outlive them; ours end with their parent.
    multiprocessing.current_process().daemon = False
    return Pool(1, settings).__enter__()


def _take(run: str) -> Pool | None:
    with _lock:
        waiting = _idle.pop(run, [])
        if not waiting:
            return None
        pool, timer = waiting.pop()
        if waiting:
            _idle[run] = waiting
    timer.cancel()
    return pool


def _take_and_end(run: str) -> bool:
    pool = _take(run)
    if pool is not None:
        pool.__exit__(None, None, None)
    return pool is not None
