"""The scheduler: one thread in which all jobs have their turns, and a pass of the decoder follows.

Jobs join between two passes, as soon as their rows are free, in the order in which they came; so none is overtaken for
ever. What a job does aside (ranking, writing files) runs in another thread meanwhile.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

from infra.errors import RunError
from registry.serving.asides import Asides
from registry.serving.jobs import Cancelled, Job
from registry.serving.metrics import Metrics
from registry.serving.settings import Limits

LOG = logging.getLogger(__name__)
IDLE_SECONDS = 0.2
"""Longest wait for work; what is new wakes the thread anyway."""
PATIENCE = 0.5
"""Seconds behind the draining for which what is done aside may take."""
REMEMBERED = 0.8
"""Share of the mean duration of jobs that stays when one more has ended."""


class Busy(RunError):
    """More jobs than may wait."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which it may be otherwise."""


class Unavailable(Busy):
    """A server that takes nothing on: it is shutting down."""


class Scheduler:
    """Runs jobs in turns. All methods may be called from any thread."""

    def __init__(self, limits: Limits, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits, self.clock, self._metrics = limits, clock, metrics
        self._changed = threading.Condition()
        self._queue: deque[Job[Any]] = deque()
        self._running: list[Job[Any]] = []
        self._drained_at = math.inf
        self._is_closing = False
        self._mean_seconds = 1.0
        self._asides = Asides()
        self._thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        metrics.watch(lambda: len(self._running), lambda: len(self._queue), self._rows)
        self._thread.start()

    @property
    def running(self) -> int:
        """Jobs that have begun."""
        return len(self._running)

    @property
    def queued(self) -> int:
        """Jobs that wait."""
        return len(self._queue)

    @property
    def is_draining(self) -> bool:
        """True if no more jobs are taken on."""
        return self._drained_at < math.inf

    def submit(self, job: Job[Any]) -> None:
        """Put a job into the queue. Raises Busy if that is full, Unavailable if no more jobs are taken on."""
        with self._changed:
            if self.is_draining:
                raise Unavailable("the server is shutting down", retry_after=5)
            self._admit()
            waiting = len(self._queue)
            if waiting >= self.limits.queue and (waiting or not self._fits(job)):
                after = max(1, round(self._mean_seconds))
                self._metrics.ended.labels("refused").inc()
                raise Busy(f"{waiting} requests are waiting already; try again in {after} s", after)
            self._queue.append(job)
            self._admit()
            self._changed.notify()

    def position(self, job: Job[Any]) -> int | None:
        """Return the number of jobs before one in the queue, None for one that is not in it."""
        with self._changed:
            return self._queue.index(job) if job in self._queue else None

    def cancel(self, job: Job[Any]) -> None:
        """End a job without an answer, at its next turn; nothing happens to one that has ended."""
        with self._changed:
            job.is_cancelled = True
            self._changed.notify()

    def is_in_haste(self) -> bool:
        """True once answers are to be given with what is there."""
        return self.clock() >= self._drained_at

    def is_over(self, job: Job[Any]) -> bool:
        """True once a job is to draw no more tokens; `job.cut` then says why."""
        if self.is_in_haste():
            job.cut = "cut short, since the server is shutting down"
        elif self.clock() >= job.ends:
            seconds = self.limits.request_seconds
            job.cut = f"cut short after {seconds:g} s, the server's limit for one request (request_seconds)"
        return job.cut is not None

    def drain(self, seconds: float) -> None:
        """Take no more jobs on; those that are there go on for so long, and are then cut short.

        It takes no lock, so that a signal may call it at any time.
        """
        self._drained_at = min(self._drained_at, self.clock() + seconds)

    def close(self) -> bool:
        """Cut short what still runs, and end the threads; return False if something is still done aside, which is not
        waited for."""
        self.drain(0)
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        return self._asides.close()

    def _rows(self) -> int:
        return sum(job.rows for job in list(self._running))

    def _fits(self, job: Job[Any]) -> bool:
        return self._rows() + job.rows <= self.limits.rows

    def _work(self) -> None:
        while True:
            with self._changed:
                self._admit()
                if self._is_closing and all(map(_waits, self._running)):
                    break
                if all(map(_waits, self._running)):
                    self._changed.wait(IDLE_SECONDS)
                    self._admit()
                running = list(self._running)
            for job in running:
                self._turn(job)
            for decoder in {job.decoder for job in self._running}:
                try:
                    self._metrics.tokens.inc(decoder.run())
                except Exception as error:  # a defect: its jobs fail, and others go on
                    LOG.exception("a pass of the decoder failed")
                    for job in [each for each in self._running if each.decoder is decoder]:
                        self._end(job, error=error)
        for job in [*self._running]:
            self._end(job, error=Unavailable("the server is shutting down", retry_after=5))

    def _admit(self) -> None:
        """Begin jobs of the queue, as many as fit; the lock is held."""
        for job in [each for each in self._queue if each.is_cancelled]:
            self._queue.remove(job)
            self._end(job, error=Cancelled("the client has gone"))
        while self._queue and (self.is_in_haste() or self._fits(self._queue[0])):
            job = self._queue.popleft()
            if self.is_in_haste():
                self._end(job, error=Unavailable("the server is shutting down", retry_after=5))
                continue
            job.begun = self.clock()
            job.ends = job.begun + self.limits.request_seconds
            self._running.append(job)

    def _turn(self, job: Job[Any]) -> None:
        if job.is_cancelled:
            self._end(job, error=Cancelled("the client has gone"))
            return
        before = job.aside
        if before is not None and not before.done():
            if self.clock() >= self._drained_at + PATIENCE:
                self._end(job, error=Unavailable("the server is shutting down", retry_after=5))
            return
        try:
            failed = None if before is None else before.exception()
            if failed is not None:
                aside = job.work.throw(failed)
            else:
                aside = job.work.send(None if before is None else before.result())
        except StopIteration as done:
            self._end(job, result=done.value)
        except Exception as error:
            self._end(job, error=error)
        else:
            job.aside = None if aside is None else self._asides.submit(aside)
            if job.aside is not None:
                job.aside.add_done_callback(self._wake)

    def _wake(self, _done: Future[Any]) -> None:
        with self._changed:
            self._changed.notify()

    def _end(self, job: Job[Any], result: object = None, error: BaseException | None = None) -> None:
        job.work.close()
        if job in self._running:
            self._running.remove(job)
        if job.begun is not None:
            seconds = self.clock() - job.begun
            self._mean_seconds = REMEMBERED * self._mean_seconds + (1 - REMEMBERED) * seconds
            self._metrics.seconds.observe(seconds)
        outcome = "done" if error is None else "cancelled" if isinstance(error, Cancelled) else "failed"
        self._metrics.ended.labels("cut" if error is None and job.cut else outcome).inc()
        with suppress(InvalidStateError):  # its reader has gone
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)


def _waits(job: Job[Any]) -> bool:
    """Return True for a job that has something done aside."""
    return job.aside is not None and not job.aside.done()
