"""Worker processes in which one bad input costs exactly that input.

A C++ parser can crash its process, hang, or eat all memory. So items are worked on in child processes, results
come back one by one, and when a worker dies or overruns its time the item in its hands is the guilty one: it
gets a Failure, a fresh worker goes on with the rest.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 32
"""Items handed to a worker at once, so that it never waits for the next."""
POLL_SECONDS = 0.5


class Failure(StrEnum):
    """What happened to a worker over an item."""

    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    pending: deque[int]
    """Indices of the items in its hands, the current one first."""
    since: float
    """When it began the current item."""


class Pool(Generic[Item, Result]):
    """Runs one function over items in worker processes."""

    def __init__(self, function: Callable[[Item], Result], workers: int, timeout: float, memory: int) -> None:
        """`timeout`: seconds an item may take. `memory`: bytes of address space a worker may take.

        `function` and items are pickled to fresh interpreters (the caller may have threads).
        """
        self.function = function
        self.workers = workers
        self.timeout = timeout
        self.memory = memory

    def run(self, items: Sequence[Item]) -> Iterator[tuple[int, Result | Failure]]:
        """(index, result) of every item, in the order in which they end. Leaves no process behind."""
        queue = deque(range(len(items)))
        alive: list[_Worker] = []
        try:
            while queue or alive:
                while queue and len(alive) < self.workers:
                    alive.append(self._start(items, queue))
                for worker in self._ready(alive):
                    yield from self._collect(worker, alive, items, queue)
                yield from self._overdue(alive, queue)
        finally:
            for worker in alive:
                worker.process.kill()
                worker.process.join()

    def _start(self, items: Sequence[Item], queue: deque[int]) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self.function, self.memory), daemon=True)
        # A child inherits the mask: Ctrl-C cannot hit it before it has said that it ignores it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        worker = _Worker(process, ours, deque(), time.monotonic())
        self._hand_over(worker, items, queue)
        return worker

    def _hand_over(self, worker: _Worker, items: Sequence[Item], queue: deque[int]) -> None:
        fair = max(1, min(CHUNK, len(queue) // (2 * self.workers)))
        worker.pending.extend(queue.popleft() for _ in range(min(fair, len(queue))))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died: `_collect` will find out
            worker.pipe.send([items[index] for index in worker.pending])

    def _ready(self, alive: list[_Worker]) -> list[_Worker]:
        ready = wait([worker.pipe for worker in alive], timeout=POLL_SECONDS)
        return [worker for worker in alive if worker.pipe in ready]

    def _collect(
        self, worker: _Worker, alive: list[_Worker], items: Sequence[Item], queue: deque[int]
    ) -> Iterator[tuple[int, Result | Failure]]:
        try:
            result: Result = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            yield from self._bury(worker, alive, queue, Failure.CRASHED)
            return
        worker.since = time.monotonic()
        yield worker.pending.popleft(), result
        if worker.pending:
            return
        if queue:
            self._hand_over(worker, items, queue)
        else:
            worker.pipe.close()
            worker.process.join()
            alive.remove(worker)

    def _overdue(self, alive: list[_Worker], queue: deque[int]) -> Iterator[tuple[int, Failure]]:
        now = time.monotonic()
        for worker in [worker for worker in alive if now - worker.since > self.timeout]:
            if not worker.pipe.poll():
                yield from self._bury(worker, alive, queue, Failure.TIMED_OUT)

    def _bury(
        self, worker: _Worker, alive: list[_Worker], queue: deque[int], failure: Failure
    ) -> Iterator[tuple[int, Failure]]:
        """The current item is guilty; the others in its hands go back to the queue."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        alive.remove(worker)
        guilty = worker.pending.popleft()
        queue.extendleft(reversed(worker.pending))
        yield guilty, failure


def _work(pipe: Connection, function: Callable[[Any], Any], memory: int) -> None:
    """A worker's life: chunks in, results out, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        while True:
            for item in pipe.recv():
                pipe.send(function(item))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
