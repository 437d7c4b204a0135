"""A worker process: started by a pool, it receives jobs over a pipe and sends back their results."""

from __future__ import annotations

import ctypes
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import psutil

from flows.engines.heartbeat import NO_ITEM, Heartbeat
from infra.errors import MusenetError
from infra.processes import end_with_parent

READY, RESULT, ERROR = "ready", "result", "error"
"""Kinds of messages that a worker sends."""


@dataclass(frozen=True)
class WorkerSettings:
    """Limits of a worker process and its preparation. Pickled, as functions and jobs are, to a fresh interpreter."""

    seconds_per_item: float
    """A worker that takes longer over an item is ended, and the item counts as timed out."""
    memory_bytes: int
    """Data memory a worker may allocate beyond what it has after `warm_up`."""
    warm_up: Callable[[], object]
    """Runs before the first job, outside the time of any item; loads and compiles what jobs need."""


@dataclass
class Worker:
    """A worker process as its pool sees it."""

    process: SpawnProcess
    pipe: Connection
    heartbeat: Heartbeat
    started: float
    """Seconds of the monotonic clock."""
    ready: bool = False
    """True once it has warmed up."""
    job: int | None = None
    """Index of the job it works on."""


def start_worker(settings: WorkerSettings) -> Worker:
    """Start a worker process; it reports READY after its warm-up.

    The process is spawned, not forked, because the caller may have threads.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    cells = context.RawArray(ctypes.c_double, 2)
    heartbeat = Heartbeat(cells)
    heartbeat.at(NO_ITEM)
    process = context.Process(target=_serve, args=(theirs, cells, settings), daemon=True)
    # A child inherits the signal mask: Ctrl-C cannot reach it before it ignores SIGINT.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return Worker(process, ours, heartbeat, time.monotonic())


def _serve(pipe: Connection, cells: Any, settings: WorkerSettings) -> None:
    """Run jobs until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    end_with_parent()  # even in the middle of a job
    heartbeat = Heartbeat(cells)
    settings.warm_up()
    # Limit data, not address space: allocators reserve gigabytes of the latter for threads that never use them.
    limit = psutil.Process().memory_info().data + settings.memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        pipe.send((READY, None))
        while True:
            function, job = pipe.recv()
            try:
                result = function(job, heartbeat)
            except Exception as error:
                known = isinstance(error, MusenetError)
                pipe.send((ERROR, str(error) if known else f"{type(error).__name__}: {error}"))
                continue
            heartbeat.at(NO_ITEM)
            pipe.send((RESULT, result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
