"""Jobs: the units of work that engines distribute, each a run of items processed in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol, Self, TypeVar, overload

from infra.errors import RunError


class Failure(StrEnum):
    """Ways in which an item costs the worker that processes it."""

    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


class Job(Protocol):
    """Items to process in one call."""

    def without(self, item: int, failure: Failure) -> Self:
        """Return the job with one item marked as failed, to be run again."""
        ...


JobType = TypeVar("JobType", bound=Job)
Result = TypeVar("Result")


class JobError(RunError):
    """Failure of a job that no single item explains, such as a full disk or a defect."""


class LazySequence(Sequence[JobType]):
    """A sequence of jobs built on access, so that ten million files are not held in memory twice."""

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
