"""The Ray engine: one Ray task per job, on a running cluster or on a Ray that is started for the run."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.ingestion.engines.isolated import run_isolated, submit_ahead
from flows.ingestion.engines.workers import Heartbeat, JobError, JobType, Result
from flows.ingestion.parsing.parse import ParseLimits
from infra.errors import UserError
from infra.files import remove_abandoned, staging_folder

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # the terminal belongs to the command
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns on machines with a GPU
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # seconds that a cluster has to answer
}
os.environ.update({**SETTINGS, **os.environ})  # Ray reads them as it is imported

import ray  # noqa: E402

ANSWER_SECONDS = 5.0
"""Time that a cluster has to answer."""
OBJECTS_BYTES = 128 * 2**20
"""Shared memory of a Ray of our own: jobs and results are small."""
TOKEN = secrets.token_hex(32)
TEMPORARY = Path("/tmp")
"""Ray's sockets lie below; their paths may have 107 bytes, which a lake's own folder would exceed."""


class RayEngine:
    """Jobs as Ray tasks."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        self._run = uuid.uuid4().hex
        self._task = ray.remote(max_retries=2)(run_isolated)

    def run(
        self, function: Callable[[JobType, Heartbeat], Result], jobs: Sequence[JobType]
    ) -> Iterator[tuple[int, Result]]:
        """As `Engine.run`."""

        def submit(job: JobType) -> Any:
            return self._task.remote(self._run, function, job, self._limits)

        for index, reference in submit_ahead(jobs, _slots, submit, _first):
            try:
                result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                words = str(cause) if isinstance(cause, JobError) else f"Ray: {type(cause).__name__}: {cause}"
                raise JobError(words) from error
            except ray.exceptions.RayError as error:
                raise JobError(f"Ray: {type(error).__name__}: {error}") from error
            yield index, result


def _slots() -> int:
    return int(ray.cluster_resources().get("CPU", 1))


def _first(references: list[Any]) -> Any:
    return ray.wait(references, num_returns=1)[0][0]


@contextmanager
def ray_engine(workers: int, limits: ParseLimits, address: str | None) -> Iterator[RayEngine]:
    """An engine on the cluster at `address`, else on a Ray of `workers` processes that ends with the block.

    Raises UserError when no cluster answers.
    """
    with _connected(workers, address):
        try:
            yield RayEngine(limits)
        finally:
            ray.shutdown()  # the processes of this run end with it


@contextmanager
def _connected(workers: int, address: str | None) -> Iterator[None]:
    if address is not None:
        _knock(address)
        try:
            _init(address)
        except (ConnectionError, RuntimeError, ValueError) as error:
            if "InvalidAuthToken" in str(error.__cause__):
                raise UserError(f"the Ray cluster at {address} wants its token: set RAY_AUTH_MODE=token") from error
            raise UserError(f"no Ray cluster answers at {address}: {error}") from error
        yield
        return
    remove_abandoned(TEMPORARY)
    with staging_folder(TEMPORARY) as folder, _token():
        _init(
            "local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=OBJECTS_BYTES,
            _temp_dir=str(folder),
        )
        yield


@contextmanager
def _token() -> Iterator[None]:
    """Nobody else may use a Ray of our own. Without a token in the environment Ray writes one to the home folder."""
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    os.environ.setdefault("RAY_AUTH_TOKEN", TOKEN)
    try:
        yield
    finally:  # Ray, too, has set them
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _init(address: str, **settings: Any) -> None:
    """`ray.init`, without its words and without its handler of SIGTERM: what ends a run is the command's to decide."""
    before = signal.getsignal(signal.SIGTERM)
    with _silent():
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **settings)
    if before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _silent() -> Iterator[None]:
    """Ray's compiled part writes to the standard error stream whatever it is told."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _knock(address: str) -> None:
    """Find out quickly whether anything listens there: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UserError(f"no Ray cluster answers at {address}; give its address as HOST:PORT") from error
