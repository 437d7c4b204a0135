"""The Ray engine: one Ray task per job, on a cluster or on a Ray that is started for the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import ray

from flows.errors import UserError
from flows.ingestion.engines.isolated import run_isolated
from flows.ingestion.parsing import ReadingLimits
from flows.ingestion.workers import Beat, JobType, Result, WorkFailed


class RayEngine:
    """Jobs as Ray tasks."""

    def __init__(self, limits: ReadingLimits, in_flight: int) -> None:
        self.limits = limits
        self.in_flight = in_flight
        self._task = ray.remote(max_retries=2)(run_isolated)

    def run(self, function: Callable[[JobType, Beat], Result], jobs: Sequence[JobType]) -> Iterator[tuple[int, Result]]:
        """As `Engine.run`; a bounded number of tasks is submitted ahead, so that the scheduler's memory is, too."""
        waiting = iter(enumerate(jobs))
        pending: dict[object, int] = {}

        def submit() -> None:
            for index, job in waiting:
                pending[self._task.remote(function, job, self.limits)] = index
                if len(pending) >= self.in_flight:
                    return

        submit()
        while pending:
            (ready,), _ = ray.wait(list(pending), num_returns=1)
            try:
                result = ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                raise WorkFailed(str(error.cause)) from error
            except ray.exceptions.RayError as error:
                raise WorkFailed(f"Ray: {error}".splitlines()[0]) from error
            yield pending.pop(ready), result
            submit()


@contextmanager
def ray_engine(workers: int, limits: ReadingLimits, address: str | None) -> Iterator[RayEngine]:
    """An engine on the cluster at `address`, else on a Ray of `workers` processes that ends with the block."""
    try:
        if address:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"no Ray cluster answers at {address}: {error}".splitlines()[0]) from error
    try:
        slots = int(ray.cluster_resources().get("CPU", workers))
        yield RayEngine(limits, 4 * slots)
    finally:
        ray.shutdown()
