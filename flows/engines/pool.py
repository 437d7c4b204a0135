"""A pool of worker processes in which a bad item costs exactly that item.

Reading a hostile file can crash a process, hang it, or exhaust its memory. So jobs run in child processes, and each
worker keeps a heartbeat of the item it is at. When a worker dies or exceeds the time limit, that item is marked as
failed and a fresh worker runs the job again without it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Generic, Self

from flows.engines.heartbeat import NO_ITEM, Heartbeat
from flows.engines.jobs import Failure, JobError, JobType, Result
from flows.engines.worker import ERROR, READY, Worker, WorkerSettings, start_worker

POLL_SECONDS = 0.5
START_SECONDS = 300.0
"""Time a worker may take to import and compile what it runs; a fresh installation compiles for some seconds."""


class Pool:
    """Worker processes, started when there is a job for them; they live as long as the `with` block."""

    def __init__(self, workers: int, settings: WorkerSettings) -> None:
        self.workers = workers
        self.settings = settings
        self._alive: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in list(self._alive):
            self._terminate(worker)

    def run(
        self, function: Callable[[JobType, Heartbeat], Result], jobs: Sequence[JobType]
    ) -> Iterator[tuple[int, Result]]:
        """Yield (index, result) of every job in order of completion. Raises JobError."""
        pending = _PendingJobs(jobs)
        unfinished = len(jobs)
        try:
            while unfinished:
                while len(self._alive) < min(self.workers, unfinished):  # a worker's start costs seconds
                    self._alive.append(start_worker(self.settings))
                for worker in self._alive:
                    if worker.ready and worker.job is None and pending:
                        self._assign(worker, function, pending)
                for index, result in self._collect(pending):
                    unfinished -= 1
                    yield index, result
                for worker in [worker for worker in self._alive if self._is_overdue(worker)]:
                    self._handle_failure(worker, Failure.TIMED_OUT, pending)
        finally:  # after an error or an abandoned run no worker goes on with an old job
            for worker in [worker for worker in self._alive if worker.job is not None]:
                self._terminate(worker)

    def _assign(self, worker: Worker, function: Callable[..., Any], pending: _PendingJobs[JobType]) -> None:
        worker.job, job = pending.next()
        worker.heartbeat.at(NO_ITEM)
        try:
            worker.pipe.send((function, job))
        except (BrokenPipeError, ConnectionResetError):  # it has died: the next `recv` reports it
            return

    def _collect(self, pending: _PendingJobs[JobType]) -> Iterator[tuple[int, Any]]:
        """Yield the results that arrive within POLL_SECONDS; handle the death of workers."""
        ready = wait([worker.pipe for worker in self._alive], timeout=POLL_SECONDS)
        for worker in [worker for worker in self._alive if worker.pipe in ready]:
            try:
                kind, content = worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                self._handle_failure(worker, Failure.CRASHED, pending)
                continue
            if kind == READY:
                worker.ready = True
                continue
            index, worker.job = worker.job, None
            if kind == ERROR:
                raise JobError(content)
            assert index is not None
            yield index, content

    def _is_overdue(self, worker: Worker) -> bool:
        if not worker.ready:
            return time.monotonic() - worker.started > START_SECONDS
        at_item = worker.job is not None and worker.heartbeat.item != NO_ITEM
        return at_item and worker.heartbeat.seconds > self.settings.seconds_per_item and not worker.pipe.poll()

    def _handle_failure(self, worker: Worker, failure: Failure, pending: _PendingJobs[JobType]) -> None:
        """Put the worker's job back into the queue without its current item.

        Raises JobError if the worker was at no item or has not warmed up in time.
        """
        self._terminate(worker)
        item, index = worker.heartbeat.item, worker.job
        if not worker.ready and failure is Failure.TIMED_OUT:
            raise JobError(f"a worker process was not ready within {START_SECONDS:g} s; run again on an idle machine")
        if index is None or item == NO_ITEM:
            raise JobError(f"a worker process ended outside of any item (exit status {worker.process.exitcode})")
        pending.retry_without(index, item, failure)

    def _terminate(self, worker: Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._alive.remove(worker)


class _PendingJobs(Generic[JobType]):
    """The queue of jobs that no worker has yet; jobs with a failed item return to its front."""

    def __init__(self, jobs: Sequence[JobType]) -> None:
        self._jobs = jobs
        self._changed: dict[int, JobType] = {}
        self._queue = deque(range(len(jobs)))

    def __bool__(self) -> bool:
        return bool(self._queue)

    def next(self) -> tuple[int, JobType]:
        """Take the first job with its index off the queue."""
        index = self._queue.popleft()
        return index, self._job(index)

    def retry_without(self, index: int, item: int, failure: Failure) -> None:
        """Put a job to the front of the queue with one item marked as failed."""
        self._changed[index] = self._job(index).without(item, failure)
        self._queue.appendleft(index)

    def _job(self, index: int) -> JobType:
        return self._changed[index] if index in self._changed else self._jobs[index]
