"""Worker processes in which one bad item costs exactly that item.

Reading a hostile file can crash a process, hang it, or eat all memory. So jobs, each a run of items, are worked on
in child processes. A worker says which item it is at; when it dies or overruns its time, that item is the guilty
one: the job is done again without it, by a fresh worker.
"""

from __future__ import annotations

import ctypes
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
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, overload

import psutil

from infra.errors import MusenetError, RunError
from infra.processes import end_with_parent

POLL_SECONDS = 0.5
START_SECONDS = 300.0
"""Time a worker may take to import and compile what it runs; a fresh installation compiles for some seconds."""
NO_ITEM = -1


class Failure(StrEnum):
    """What happened to a worker over an item."""

    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


class Heartbeat:
    """Where a worker is: the item in its hands and since when, in memory that both processes see."""

    def __init__(self, cells: Any) -> None:
        self._cells = cells

    def at(self, item: int) -> None:
        """The worker takes up an item (NO_ITEM: none)."""
        self._cells[1] = time.monotonic()
        self._cells[0] = item

    @property
    def item(self) -> int:
        return int(self._cells[0])

    @property
    def seconds(self) -> float:
        """Time since the worker took the item up; the clock is the machine's, not the process's."""
        return time.monotonic() - float(self._cells[1])


class Job(Protocol):
    """Some items to work on in one call."""

    def without(self, item: int, failure: Failure) -> Self:
        """The same job once more, with one item known to be guilty."""
        ...


JobType = TypeVar("JobType", bound=Job)
Result = TypeVar("Result")


class JobError(RunError):
    """A job failed for a reason that lies in no single item: a full disk, a defect."""


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    heartbeat: Heartbeat
    started: float
    ready: bool = False
    job: int | None = None


class LazySequence(Sequence[JobType]):
    """Jobs that are made when their turn comes: ten million files are not listed twice."""

    def __init__(self, count: int, make: Callable[[int], JobType]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> JobType: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[JobType]: ...

    def __getitem__(self, index: int | slice) -> JobType | Sequence[JobType]:
        if isinstance(index, slice):
            return [self._make(each) for each in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._make(index)


class _Jobs(Generic[JobType]):
    """The jobs of a run, without the items that were found guilty."""

    def __init__(self, jobs: Sequence[JobType]) -> None:
        self._jobs = jobs
        self._changed: dict[int, JobType] = {}

    def __getitem__(self, index: int) -> JobType:
        return self._changed[index] if index in self._changed else self._jobs[index]

    def exclude(self, index: int, item: int, failure: Failure) -> None:
        self._changed[index] = self[index].without(item, failure)


class Pool:
    """Worker processes that live as long as the `with` block, and none longer."""

    def __init__(self, workers: int, timeout: float, memory: int, prepare: Callable[[], object]) -> None:
        """`timeout`: seconds an item may take. `memory`: bytes that a worker may take beyond its start.

        `prepare` runs first in each worker, outside of any item's time. It, functions and jobs are pickled to
        fresh interpreters (the caller may have threads).
        """
        self.workers = workers
        self.timeout = timeout
        self.memory = memory
        self.prepare = prepare
        self._alive: list[_Worker] = []

    def __enter__(self) -> Self:
        """Starts the workers; they get ready while the caller does something else."""
        self._alive = [self._start() for _ in range(self.workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in list(self._alive):
            self._terminate(worker)

    def run(
        self, function: Callable[[JobType, Heartbeat], Result], jobs: Sequence[JobType]
    ) -> Iterator[tuple[int, Result]]:
        """(index, result) of every job, in the order in which they end. Raises JobError."""
        work = _Jobs(jobs)
        queue = deque(range(len(jobs)))
        open_jobs = len(jobs)
        try:
            while open_jobs:
                while len(self._alive) < self.workers:
                    self._alive.append(self._start())
                for worker in self._alive:
                    if worker.ready and worker.job is None and queue:
                        self._hand_over(worker, function, work, queue.popleft())
                for index, result in self._collected(work, queue):
                    open_jobs -= 1
                    yield index, result
                for worker in [worker for worker in self._alive if self._overdue(worker)]:
                    self._failed(worker, Failure.TIMED_OUT, work, queue)
        finally:  # an error or an abandoned run leaves no worker behind that still has an old job in its hands
            for worker in [worker for worker in self._alive if worker.job is not None]:
                self._terminate(worker)

    def _collected(self, work: _Jobs[JobType], queue: deque[int]) -> Iterator[tuple[int, Any]]:
        """What workers have sent; waits a moment for it."""
        ready = wait([worker.pipe for worker in self._alive], timeout=POLL_SECONDS)
        for worker in [worker for worker in self._alive if worker.pipe in ready]:
            try:
                kind, content = worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                self._failed(worker, Failure.CRASHED, work, queue)
                continue
            index = worker.job
            if kind == "ready":
                worker.ready = True
                continue
            worker.job = None
            if kind == "error":
                raise JobError(content)
            assert index is not None
            yield index, content

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        cells = context.RawArray(ctypes.c_double, 2)
        Heartbeat(cells).at(NO_ITEM)
        process = context.Process(target=_work, args=(theirs, cells, self.prepare, self.memory), daemon=True)
        # A child inherits the mask: Ctrl-C cannot hit it before it has said that it ignores it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Worker(process, ours, Heartbeat(cells), time.monotonic())

    def _hand_over(self, worker: _Worker, function: Callable[..., Any], work: _Jobs[JobType], index: int) -> None:
        worker.job = index
        worker.heartbeat.at(NO_ITEM)
        try:
            worker.pipe.send((function, work[index]))
        except (BrokenPipeError, ConnectionResetError):  # it has died: the next `recv` finds out
            return

    def _overdue(self, worker: _Worker) -> bool:
        if not worker.ready:
            return time.monotonic() - worker.started > START_SECONDS
        at_item = worker.job is not None and worker.heartbeat.item != NO_ITEM
        return at_item and worker.heartbeat.seconds > self.timeout and not worker.pipe.poll()

    def _failed(self, worker: _Worker, failure: Failure, work: _Jobs[JobType], queue: deque[int]) -> None:
        """The current item is guilty; the job goes back to the queue without it."""
        self._terminate(worker)
        guilty, index = worker.heartbeat.item, worker.job
        if index is None or guilty == NO_ITEM:
            raise JobError(f"a worker process ended by itself (exit status {worker.process.exitcode})")
        work.exclude(index, guilty, failure)
        queue.appendleft(index)

    def _terminate(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._alive.remove(worker)


def _work(pipe: Connection, cells: Any, prepare: Callable[[], object], memory: int) -> None:
    """A worker's life: jobs in, results out, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    end_with_parent()  # a killed parent leaves no worker behind, not even one in the middle of a job
    heartbeat = Heartbeat(cells)
    prepare()
    # Data, not address space: of that the allocators of a dozen threads reserve gigabytes which nothing ever uses.
    limit = psutil.Process().memory_info().data + memory
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        pipe.send(("ready", None))
        while True:
            function, job = pipe.recv()
            try:
                result = function(job, heartbeat)
            except Exception as error:
                words = str(error) if isinstance(error, MusenetError) else f"{type(error).__name__}: {error}"
                pipe.send(("error", words))
                continue
            heartbeat.at(NO_ITEM)
            pipe.send(("result", result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
