"""Bounded submission to a cluster: enough jobs ahead that no slot waits, and no more than its scheduler can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from flows.engines.jobs import JobType

AHEAD = 4
"""Submitted jobs per slot of the cluster."""

Future = TypeVar("Future")


def submit_ahead(
    jobs: Sequence[JobType],
    slots: Callable[[], int],
    submit: Callable[[JobType], Future],
    wait_first: Callable[[list[Future]], Future],
) -> Iterator[tuple[int, Future]]:
    """Yield (index, future) of every job in order of completion.

    `slots` returns the number of jobs that the cluster currently runs at once, `submit` the future of a job, and
    `wait_first` one of several futures as soon as it is done.
    """
    waiting = iter(enumerate(jobs))
    pending: dict[Future, int] = {}
    while True:
        for index, job in islice(waiting, max(0, AHEAD * max(1, slots()) - len(pending))):
            pending[submit(job)] = index
        if not pending:
            return
        done = wait_first(list(pending))
        yield pending.pop(done), done
