"""A Prefect API for as long as a command runs its flows."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

from infra.lake import Lake
from infra.processes import end_groups
from infra.services.commands import prefect_command, start_server
from infra.services.database import create_database
from infra.services.environment import server_environment
from infra.services.health import ServiceError, address, answers, refusal, wait_until_healthy
from infra.services.records import read_record, services_lock
from infra.services.run_prefect import DRAIN_TIMEOUT_S, STOP_TIMEOUT_S

ANY_PORT = 0


@contextlib.contextmanager
def prefect_server(lake: Lake) -> Iterator[str]:
    """Provide a Prefect API on the lake's database and yield its address.

    An address in `$PREFECT_API_URL` is used as it is, then the server that `up` started; else a private one runs for
    the duration. Several private servers may share a lake: SQLite's write-ahead log orders their writes, and the lock
    lets only one of them create or migrate the database.

    `$PREFECT_API_URL` is set inside the block; import Prefect, and the flows, inside it too. On leaving it, everything
    the flows reported has reached the database, whatever ended the block. A private server also ends by itself when
    this process is killed.

    Raises ServiceError when the private server does not start, and when nothing answers at `$PREFECT_API_URL`.
    """
    if given := os.environ.get("PREFECT_API_URL"):
        if why := refusal(f"{given.rstrip('/')}/health"):
            raise ServiceError(f"no Prefect API answers at {given} ($PREFECT_API_URL): {why}; start it, or unset it")
        lake.prefect_home.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with contextlib.ExitStack() as stack:
        record = read_record(lake, "prefect")
        if record is not None and answers("prefect", record.url):
            url = record.url
        else:
            url = stack.enter_context(_private_server(lake))
        os.environ["PREFECT_API_URL"] = f"{url}/api"
        _refresh_settings()
        try:
            yield f"{url}/api"
        finally:
            try:
                drain()
            finally:
                os.environ.pop("PREFECT_API_URL", None)
                _refresh_settings()


def drain() -> None:
    """Send what Prefect's threads in this process have queued: log lines, and the events that are its only record of
    task runs.

    Prefect itself does so at interpreter exit, when a private server is gone.
    """
    if logs := sys.modules.get("prefect.logging.handlers"):
        logs.APILogWorker.drain_all(timeout=DRAIN_TIMEOUT_S)
    if events := sys.modules.get("prefect.events.worker"):
        events.EventsWorker.drain_all(timeout=DRAIN_TIMEOUT_S)


@contextlib.contextmanager
def _private_server(lake: Lake) -> Iterator[str]:
    url, log = address(ANY_PORT), lake.services / "prefect-private.log"
    with contextlib.ExitStack() as start:
        start.enter_context(services_lock(lake))
        create_database(lake)
        command, environment = prefect_command(url, os.getpid()), server_environment(lake, "private", url)
        process = start_server(command, environment, log)
        try:
            importlib.import_module("prefect.flows")  # takes half as long as the server's start: side by side
            wait_until_healthy("prefect", url, log, process)
            start.close()
            yield url
        finally:
            end_groups([process.pid], STOP_TIMEOUT_S)
            process.wait()


def _refresh_settings() -> None:
    """Make Prefect read the address again: it reads its settings once, when it is imported."""
    if context := sys.modules.get("prefect.context"):
        context.refresh_global_settings_context()
