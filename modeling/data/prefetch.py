"""Prefetching: threads make the next batches while the network computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Iterate over `make(number)` for consecutive numbers, in order, computed ahead in threads.

        with Prefetcher(loader.batch, first=step, stop=steps) as batches:
            for batch, targets in batches: …

    An exception of `make` is raised when its item is requested, after the items before it. Leaving the context waits
    for calls in progress and cancels the rest.
    """

    def __init__(
        self, make: Callable[[int], Item], first: int = 0, stop: int | None = None, depth: int = 2, workers: int = 1
    ) -> None:
        """Start prefetching. `stop`: end (exclusive); None: endless. `depth`: items that are ready or in progress.
        `workers`: threads, of use where `make` releases the interpreter's lock."""
        self._make = make
        self._next = first
        self._stop = stop
        self._depth = depth
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
        self._ahead: deque[Future[Item]] = deque()
        self._fill()

    def __enter__(self) -> Prefetcher[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if not self._ahead:
            raise StopIteration
        item = self._ahead.popleft().result()
        self._fill()
        return item

    def _fill(self) -> None:
        while len(self._ahead) < self._depth and (self._stop is None or self._next < self._stop):
            self._ahead.append(self._pool.submit(self._make, self._next))
            self._next += 1
