"""The Dask engine: one Dask task per job, on a running cluster or on a Dask in this process for the run."""

from __future__ import annotations

import logging
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import distributed

from flows.errors import UserError
from flows.ingestion.engines.isolated import release, run_isolated, submit_ahead
from flows.ingestion.parsing import ReadingLimits
from flows.ingestion.workers import Beat, JobType, Result, WorkFailed

ANSWER_SECONDS = 10
"""Time that a cluster has to answer, and to have a worker."""


class DaskEngine:
    """Jobs as Dask tasks."""

    def __init__(self, client: distributed.Client, run: str, limits: ReadingLimits) -> None:
        """`run` names this run in the cluster's workers."""
        self._client = client
        self._run = run
        self._limits = limits

    def run(self, function: Callable[[JobType, Beat], Result], jobs: Sequence[JobType]) -> Iterator[tuple[int, Result]]:
        """As `Engine.run`."""

        def submit(job: JobType) -> distributed.Future[Any]:
            return self._client.submit(run_isolated, self._run, function, job, self._limits, pure=False)

        for index, future in submit_ahead(jobs, self._slots, submit, _first):
            try:
                result = future.result()
            except WorkFailed:
                raise
            except Exception as error:  # whatever the cluster itself could not do
                raise WorkFailed(f"Dask: {type(error).__name__}: {error}") from error
            yield index, result

    def _slots(self) -> int:
        return sum(self._client.nthreads().values())


def _first(futures: list[distributed.Future[Any]]) -> distributed.Future[Any]:
    return next(iter(distributed.wait(futures, return_when="FIRST_COMPLETED").done))


@contextmanager
def dask_engine(workers: int, limits: ReadingLimits, address: str | None) -> Iterator[DaskEngine]:
    """An engine on the scheduler at `address`, else with `workers` worker processes that end with the block.

    Raises UserError when no scheduler answers, or it has no worker.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="distributed")
    run = uuid.uuid4().hex
    with _client(workers, address) as client:
        try:
            yield DaskEngine(client, run, limits)
        finally:
            client.run(release, run)


def _client(workers: int, address: str | None) -> distributed.Client:
    if address is None:  # as threads: the processes below them are enough
        return distributed.Client(
            processes=False,
            n_workers=1,
            threads_per_worker=workers,
            memory_limit=0,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
    try:
        client = distributed.Client(address, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {address}; give its address as tcp://HOST:PORT") from error
    try:
        client.wait_for_workers(1, timeout=ANSWER_SECONDS)
    except TimeoutError as error:
        client.close()
        raise UserError(f"the Dask cluster at {address} has no worker; start some with `dask worker`") from error
    return client
