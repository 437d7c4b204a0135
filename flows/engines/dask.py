"""The Dask engine: one Dask task per job, on a running cluster or on one started in this process for the run."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import distributed
from tornado.ioloop import IOLoop

from flows.engines.heartbeat import Heartbeat
from flows.engines.isolation import release, run_isolated
from flows.engines.jobs import JobError, JobType, Result
from flows.engines.submission import submit_ahead
from flows.engines.worker import WorkerSettings
from infra.errors import UserError
from infra.files import remove_abandoned, staging_folder

ANSWER_SECONDS = 5
"""Time a cluster may take to answer, and to have a worker."""


class DaskEngine:
    """Runs jobs as Dask tasks."""

    def __init__(self, client: distributed.Client, run: str, settings: WorkerSettings) -> None:
        """Submit through `client`; `run` identifies this run in the cluster's workers."""
        self._client = client
        self._run = run
        self._settings = settings

    def run(
        self, function: Callable[[JobType, Heartbeat], Result], jobs: Sequence[JobType]
    ) -> Iterator[tuple[int, Result]]:
        """Run jobs as `Engine.run` specifies."""

        def submit(job: JobType) -> distributed.Future[Any]:
            return self._client.submit(run_isolated, self._run, function, job, self._settings, pure=False)

        for index, future in submit_ahead(jobs, self._slots, submit, _wait_first):
            try:
                result = future.result()
            except JobError:
                raise
            except Exception as error:  # a failure of the cluster, not of the job
                raise JobError(f"Dask: {type(error).__name__}: {error}") from error
            yield index, result

    def _slots(self) -> int:
        return sum(self._client.nthreads().values())


def _wait_first(futures: list[distributed.Future[Any]]) -> distributed.Future[Any]:
    return next(iter(distributed.wait(futures, return_when="FIRST_COMPLETED").done))


@contextmanager
def dask_engine(workers: int, settings: WorkerSettings, address: str | None) -> Iterator[DaskEngine]:
    """Open an engine on the scheduler at `address`, else one of `workers` processes that end with the block.

    Raises UserError when no scheduler answers or it has no worker.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="distributed")
    run = uuid.uuid4().hex
    with _own_cluster(workers) if address is None else _connected(address) as client:
        try:
            yield DaskEngine(client, run, settings)
        finally:
            client.run(release, run)


@contextmanager
def event_loop() -> Iterator[IOLoop]:
    """Run an event loop in a thread of its own.

    Dask gives the loop that it starts itself ten seconds to run, which a busy machine does not always manage.
    """
    started: Future[tuple[IOLoop, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def hold() -> None:
        stop = asyncio.Event()
        started.set_result((IOLoop.current(), asyncio.get_running_loop(), stop))
        await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(hold()), name="dask", daemon=True)
    thread.start()
    loop, running, stop = started.result()
    try:
        yield loop
    finally:
        running.call_soon_threadsafe(stop.set)
        thread.join()


@contextmanager
def _own_cluster(workers: int) -> Iterator[distributed.Client]:
    """Start a Dask whose workers are threads of this process; jobs run in child processes (`isolation`)."""
    temporary = Path(tempfile.gettempdir())
    remove_abandoned(temporary)
    with (
        staging_folder(temporary) as folder,
        event_loop() as loop,
        dask.config.set(temporary_directory=str(folder)),
        distributed.Client(
            loop=loop,
            processes=False,
            n_workers=1,
            threads_per_worker=workers,
            memory_limit=0,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as client,
    ):
        yield client


def _connected(address: str) -> distributed.Client:
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
