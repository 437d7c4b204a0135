"""The Ray engine: one Ray task per job, on a running cluster or on one started for the run."""

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

from flows.engines.heartbeat import Heartbeat
from flows.engines.isolation import run_isolated
from flows.engines.jobs import JobError, JobType, Result
from flows.engines.submission import submit_ahead
from flows.engines.worker import WorkerSettings
from infra.errors import RunError, UserError, message_of
from infra.files import remove_abandoned, staging_folder

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # keeps its log off the terminal
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # avoids a warning on machines with a GPU
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # seconds a cluster may take to answer
}
os.environ.update({**SETTINGS, **os.environ})  # read by Ray on import

import ray  # noqa: E402

ANSWER_SECONDS = 5.0
"""Time a cluster may take to answer."""
OBJECTS_BYTES = 128 * 2**20
"""Shared memory of a Ray started for a run; jobs and results are small."""
TOKEN = secrets.token_hex(32)
"""Authentication of a Ray started for a run."""
TEMPORARY = Path("/tmp")
"""Parent of the folder of Ray's sockets, whose paths are limited to 107 bytes; a lake's own folder may be longer."""


class RayEngine:
    """Runs jobs as Ray tasks."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._run = uuid.uuid4().hex
        self._task = ray.remote(max_retries=2)(run_isolated)

    def run(
        self, function: Callable[[JobType, Heartbeat], Result], jobs: Sequence[JobType]
    ) -> Iterator[tuple[int, Result]]:
        """Run jobs as `Engine.run` specifies."""

        def submit(job: JobType) -> Any:
            return self._task.remote(self._run, function, job, self._settings)

        for index, reference in submit_ahead(jobs, _slots, submit, _wait_first):
            try:
                result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                message = str(cause) if isinstance(cause, JobError) else f"Ray: {type(cause).__name__}: {cause}"
                raise JobError(message) from error
            except ray.exceptions.RayError as error:
                raise JobError(f"Ray: {type(error).__name__}: {error}") from error
            yield index, result


def _slots() -> int:
    return int(ray.cluster_resources().get("CPU", 1))


def _wait_first(references: list[Any]) -> Any:
    return ray.wait(references, num_returns=1)[0][0]


@contextmanager
def ray_engine(workers: int, settings: WorkerSettings, address: str | None) -> Iterator[RayEngine]:
    """Open an engine on the cluster at `address`, else on a Ray of `workers` processes that ends with the block.

    Raises UserError when no cluster answers, RunError when a Ray of its own does not start.
    """
    with _connected(workers, address):
        try:
            yield RayEngine(settings)
        finally:
            ray.shutdown()  # ends the worker processes of this run


@contextmanager
def _connected(workers: int, address: str | None) -> Iterator[None]:
    if address is not None:
        _check_listening(address)
        try:
            _init(address)
        except (ConnectionError, RuntimeError, ValueError) as error:
            if "InvalidAuthToken" in str(error.__cause__):
                raise UserError(f"the Ray cluster at {address} requires a token; set RAY_AUTH_MODE=token") from error
            raise UserError(f"no Ray cluster answers at {address}: {error}") from error
        yield
        return
    remove_abandoned(TEMPORARY)
    with staging_folder(TEMPORARY) as folder, _token():
        try:
            _init(
                "local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=OBJECTS_BYTES,
                _temp_dir=str(folder),
            )
        except Exception as error:  # Ray raises plain exceptions, such as for a node that took too long to start
            raise RunError(
                f"Ray did not start on this machine: {message_of(error)}; run again, or with --engine local"
            ) from error
        yield


@contextmanager
def _token() -> Iterator[None]:
    """Protect a Ray started for a run with a token.

    Without a token in the environment Ray writes one to the home folder.
    """
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    os.environ.setdefault("RAY_AUTH_TOKEN", TOKEN)
    try:
        yield
    finally:  # Ray has set them, too
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _init(address: str, **settings: Any) -> None:
    """Call `ray.init` silently and restore the handler of SIGTERM, which Ray replaces."""
    before = signal.getsignal(signal.SIGTERM)
    with _silent():
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **settings)
    if before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _silent() -> Iterator[None]:
    """Discard standard error, to which Ray's compiled part writes whatever its log level."""
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


def _check_listening(address: str) -> None:
    """Raise UserError if nothing listens at `address`; Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UserError(f"no Ray cluster answers at {address}; give its address as HOST:PORT") from error
