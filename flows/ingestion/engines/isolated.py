"""What the engines of clusters share: jobs that may bring down their process, submitted a bounded number ahead.

A cluster's own worker must survive a hostile file. So it works on each job in a process of its own, as the local
engine does; that process waits a while for the next job of the same run.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from flows.ingestion.engines.preparation import prepare
from flows.ingestion.engines.workers import Heartbeat, JobType, Pool
from flows.ingestion.parsing.parse import ParseLimits

AHEAD = 4
"""Jobs per slot of a cluster that are submitted before their turn, so that no slot waits and no scheduler overflows."""
IDLE_SECONDS = 60.0
"""A process without a job for that long ends: its run may have been killed."""

Submitted = TypeVar("Submitted")

_lock = threading.Lock()
_idle: dict[str, list[tuple[Pool, threading.Timer]]] = {}
"""Processes that wait, by run; an engine may work on several jobs in the threads of one process."""


def run_isolated(run: str, function: Callable[[Any, Heartbeat], Any], job: Any, limits: ParseLimits) -> Any:
    """The result of one job of a run, worked on as in the local engine. Raises JobError."""
    pool = _take(run) or _started(limits)
    try:
        ((_, result),) = pool.run(function, [job])
        return result
    finally:  # a pool is as good as before a job that failed
        timer = threading.Timer(IDLE_SECONDS, _take_and_end, [run])
        timer.daemon = True
        with _lock:
            _idle.setdefault(run, []).append((pool, timer))
        timer.start()


def release(run: str) -> None:
    """End the processes of this machine that wait for jobs of a run that is over."""
    while _take_and_end(run):
        pass


def submit_ahead(
    jobs: Sequence[JobType],
    slots: Callable[[], int],
    submit: Callable[[JobType], Submitted],
    first: Callable[[list[Submitted]], Submitted],
) -> Iterator[tuple[int, Submitted]]:
    """(index, what `submit` gave) of every job, in the order in which `first` finds them done.

    `slots`: jobs that the cluster works on at once, now.
    """
    waiting = iter(enumerate(jobs))
    pending: dict[Submitted, int] = {}
    while True:
        for index, job in islice(waiting, max(0, AHEAD * max(1, slots()) - len(pending))):
            pending[submit(job)] = index
        if not pending:
            return
        done = first(list(pending))
        yield pending.pop(done), done


def _started(limits: ParseLimits) -> Pool:
    # Dask's workers are daemons, which must have no children lest they outlive them; ours end with their parent.
    multiprocessing.current_process().daemon = False
    return Pool(1, limits.seconds_per_file, limits.worker_bytes, prepare).__enter__()


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
