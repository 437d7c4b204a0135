"""The scheduler: jobs join in their order as rows are free, and every one of them ends, whatever becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from registry.serving.jobs import Cancelled, Job
from registry.serving.metrics import Metrics
from registry.serving.scheduler import Busy, Scheduler, Unavailable
from registry.serving.settings import Limits

WAIT = 10.0
Work = Generator[Callable[[], Any] | None, Any, Any]


class Passes:
    """A decoder that counts its passes."""

    def __init__(self) -> None:
        self.count = 0

    def run(self) -> int:
        self.count += 1
        return 3


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def scheduler(metrics: Metrics) -> Iterator[Scheduler]:
    scheduler = Scheduler(Limits(rows=4, queue=2, request_seconds=60), metrics)
    yield scheduler
    scheduler.close()


def held(event: threading.Event, result: str = "done") -> Callable[[Job[str]], Work]:
    """Work that goes on until an event."""

    def work(_: Job[str]) -> Work:
        while not event.is_set():
            time.sleep(0.001)
            yield None
        return result

    return work


def submitted(scheduler: Scheduler, work: Callable[[Job[Any]], Work], rows: int = 1, decoder: Any = None) -> Job[Any]:
    job: Job[Any] = Job(rows, decoder or Passes(), work)
    scheduler.submit(job)
    return job


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_jobs_join_in_their_order_as_soon_as_their_rows_are_free(scheduler: Scheduler) -> None:
    first, second, third = threading.Event(), threading.Event(), threading.Event()
    jobs = [submitted(scheduler, held(first), 3)]
    wait_until(lambda: scheduler.running == 1)
    jobs += [submitted(scheduler, held(second), 2), submitted(scheduler, held(third), 1)]
    time.sleep(0.02)
    assert [scheduler.position(job) for job in jobs] == [None, 0, 1], "the small one does not overtake"
    first.set()
    wait_until(lambda: scheduler.running == 2)
    assert jobs[0].future.result(WAIT) == "done"
    second.set()
    third.set()
    assert [job.future.result(WAIT) for job in jobs] == ["done"] * 3


def test_a_full_queue_refuses_what_would_wait(scheduler: Scheduler) -> None:
    event = threading.Event()
    for _ in range(3):
        submitted(scheduler, held(event), 4)
        wait_until(lambda: scheduler.running == 1)
    with pytest.raises(Busy, match="2 requests are waiting already; try again in 1 s"):
        submitted(scheduler, held(event))
    event.set()


def test_one_pass_follows_the_turns_of_all(scheduler: Scheduler) -> None:
    decoder, turns = Passes(), []

    def work(name: str) -> Callable[[Job[Any]], Work]:
        def turn(_: Job[Any]) -> Work:
            while decoder.count < 6:
                turns.append((decoder.count, name))
                yield None

        return turn

    jobs = [submitted(scheduler, work(name), 1, decoder) for name in "ab"]
    for job in jobs:
        job.future.result(WAIT)
    assert (3, "a") in turns
    assert (3, "b") in turns


def test_what_is_done_aside_holds_up_no_others(scheduler: Scheduler) -> None:
    event = threading.Event()

    def ranking(_: Job[Any]) -> Work:
        found = yield lambda: event.wait(WAIT) and "ranked"
        return found

    waiting, other = submitted(scheduler, ranking), submitted(scheduler, held(event_that_is_set()))
    assert other.future.result(WAIT) == "done"
    assert not waiting.future.done()
    event.set()
    assert waiting.future.result(WAIT) == "ranked"


def event_that_is_set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_a_cancelled_job_ends_at_its_next_turn(scheduler: Scheduler, metrics: Metrics) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    def work(_: Job[Any]) -> Work:
        try:
            while True:
                begun.set()
                yield None
        finally:
            cleaned.set()

    running = submitted(scheduler, work, 4)
    assert begun.wait(WAIT)
    waiting = submitted(scheduler, work)
    scheduler.cancel(waiting)
    scheduler.cancel(running)
    for job in (running, waiting):
        with pytest.raises(Cancelled):
            job.future.result(WAIT)
    assert cleaned.is_set()
    assert (scheduler.running, scheduler.queued) == (0, 0)
    assert b'musenet_requests_total{outcome="cancelled"} 2.0' in metrics.text()


@pytest.mark.parametrize("aside", [True, False])
def test_a_job_that_fails_is_alone_in_that(aside: bool, scheduler: Scheduler) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    def work(_: Job[Any]) -> Work:
        yield None
        if aside:
            yield broken
        broken()

    failing, other = submitted(scheduler, work), submitted(scheduler, held(event_that_is_set()))
    with pytest.raises(ZeroDivisionError):
        failing.future.result(WAIT)
    assert other.future.result(WAIT) == "done"


def test_a_decoder_that_fails_ends_its_jobs_alone(scheduler: Scheduler) -> None:
    class Broken:
        def run(self) -> int:
            raise ZeroDivisionError

    event = threading.Event()
    other = submitted(scheduler, held(event))
    with pytest.raises(ZeroDivisionError):
        submitted(scheduler, held(event), decoder=Broken()).future.result(WAIT)
    event.set()
    assert other.future.result(WAIT) == "done"


class TestTime:
    @staticmethod
    def until_it_is_over(scheduler: Scheduler) -> Callable[[Job[Any]], Work]:
        def work(job: Job[Any]) -> Work:
            while not scheduler.is_over(job):
                yield None
            return job.cut

        return work

    def test_a_job_is_cut_short_when_its_time_is_over(self, metrics: Metrics) -> None:
        scheduler = Scheduler(Limits(request_seconds=0.02), metrics)
        cut = submitted(scheduler, self.until_it_is_over(scheduler)).future.result(WAIT)
        assert cut == "cut short after 0.02 s, the server's limit for one request (request_seconds)"
        scheduler.close()

    def test_draining_takes_nothing_on_and_cuts_short_what_takes_longer(self, scheduler: Scheduler) -> None:
        event = threading.Event()
        running = submitted(scheduler, self.until_it_is_over(scheduler), 3)
        quick = submitted(scheduler, held(event))
        wait_until(lambda: scheduler.running == 2)
        waiting = submitted(scheduler, held(event), 4)
        scheduler.drain(0.2)
        with pytest.raises(Unavailable, match="shutting down"):
            submitted(scheduler, held(event))
        event.set()
        assert quick.future.result(WAIT) == "done"
        assert running.future.result(WAIT) == "cut short, since the server is shutting down"
        with pytest.raises(Unavailable):
            waiting.future.result(WAIT)

    def test_closing_waits_for_nothing_that_is_done_aside(self, metrics: Metrics) -> None:
        scheduler, event = Scheduler(Limits(), metrics), threading.Event()

        def work(_: Job[Any]) -> Work:
            yield lambda: event.wait(WAIT)

        job = submitted(scheduler, work)
        wait_until(lambda: isinstance(job.aside, Future))
        assert not scheduler.close(), "it goes on"
        with pytest.raises(Unavailable):
            job.future.result(WAIT)
        event.set()
