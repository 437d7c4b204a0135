"""The Dask engine: one Dask task per job, on a cluster or on workers that are started for the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import distributed

from flows.errors import UserError
from flows.ingestion.engines.isolated import run_isolated
from flows.ingestion.parsing import ReadingLimits
from flows.ingestion.workers import Beat, JobType, Result, WorkFailed


class DaskEngine:
    """Jobs as Dask tasks."""

    def __init__(self, client: distributed.Client, limits: ReadingLimits) -> None:
        self.client = client
        self.limits = limits

    def run(self, function: Callable[[JobType, Beat], Result], jobs: Sequence[JobType]) -> Iterator[tuple[int, Result]]:
        """As `Engine.run`."""
        futures = {
            self.client.submit(run_isolated, function, job, self.limits, pure=False): index
            for index, job in enumerate(jobs)
        }
        for future in distributed.as_completed(list(futures)):
            index = futures.pop(future)
            try:
                yield index, future.result()
            except WorkFailed:
                raise
            except Exception as error:  # Dask raises what the task or the scheduler raised
                raise WorkFailed(f"Dask: {type(error).__name__}: {error}") from error


@contextmanager
def dask_engine(workers: int, limits: ReadingLimits, address: str | None) -> Iterator[DaskEngine]:
    """An engine on the scheduler at `address`, else on `workers` processes that end with the block."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        if address:
            client = distributed.Client(address, timeout=10)
        else:
            client = distributed.Client(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
            )
    except (OSError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        yield DaskEngine(client, limits)
