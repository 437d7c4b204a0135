"""A Prefect API for as long as a command runs its flows, or has something to announce."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from infra.lake import Lake
from infra.processes import end_groups
from infra.services.commands import prefect_command, start_server
from infra.services.database import create_database
from infra.services.environment import server_environment
from infra.services.flow_run import PRIVATE_VARIABLE
from infra.services.health import ServiceError, address, answers, is_closed, refusal, wait_until_healthy
from infra.services.password import AUTH_VARIABLE, make_password, read_password
from infra.services.records import read_record, services_lock
from infra.services.run_prefect import DRAIN_TIMEOUT_S, STOP_TIMEOUT_S
from infra.services.schema import require_schema

ANY_PORT = 0


@contextlib.contextmanager
def prefect_server(lake: Lake, modules: Sequence[str] = ()) -> Iterator[str]:
    """Provide a Prefect API on the lake's database and yield its address.

    An address in `$PREFECT_API_URL` is used as it is, then the server that `up` started; else a private one runs for
    the duration. Several private servers may share a lake: SQLite's write-ahead log orders their writes, and the lock
    lets only one of them create or migrate the database.

    `$PREFECT_API_URL` and, for a server of the lake, its password are set inside the block; import Prefect, and the
    flows, inside it too. Prefect and `modules` are imported while a private server starts, which takes as long. On
    leaving the block, everything the flows reported has reached the database, whatever ended it. A private server also
    ends by itself when this process is killed.

    Raises ServiceError when the private server does not start, or its database has to be upgraded first, and when
    nothing answers at `$PREFECT_API_URL`, or asks for another password.
    """
    with standing_server(lake) as standing:
        if standing is not None:
            lake.prefect_home.mkdir(parents=True, exist_ok=True)
            yield standing
            return
        with _private_server(lake, modules) as url, _clients_of(lake, url, stays=False) as api:
            yield api


@contextlib.contextmanager
def standing_server(lake: Lake) -> Iterator[str | None]:
    """Yield the address of the Prefect API that stays, None where there is none; see `prefect_server`.

    It is that in `$PREFECT_API_URL`, else that of the server that `up` started. Raises ServiceError when nothing
    answers at the former, or asks for another password.
    """
    if given := os.environ.get("PREFECT_API_URL"):
        with _client_settings(credentials(lake, given)):
            _check(given)
            yield given
        return
    record = read_record(lake, "prefect")
    if record is None or not answers("prefect", record.url):
        yield None
        return
    with _clients_of(lake, record.url, stays=True) as api:
        yield api


@contextlib.contextmanager
def reachable_server(lake: Lake) -> Iterator[ServiceError | None]:
    """Have Prefect's clients in this process use the API that stays for a block, or none; see `standing_server`.

    For what may go on without: yields the error where there is one that does not answer.
    """
    with contextlib.ExitStack() as stack:
        problem = None
        try:
            stack.enter_context(standing_server(lake))
        except ServiceError as error:
            problem = error
            stack.enter_context(_client_settings({"PREFECT_API_URL": ""}))
        yield problem


@contextlib.contextmanager
def _clients_of(lake: Lake, url: str, stays: bool) -> Iterator[str]:
    """Have Prefect's clients in this process use one of the lake's servers for a block; yield its API's address."""
    api = f"{url}/api"
    ours = {
        "PREFECT_API_URL": api,
        AUTH_VARIABLE: read_password(lake) or "",
        PRIVATE_VARIABLE: "" if stays else "1",
    }
    with _client_settings(ours):
        try:
            yield api
        finally:
            drain()


def credentials(lake: Lake, api: str) -> dict[str, str]:
    """Return the password of the lake's own server as a variable, if that is at `api` and none is set."""
    record, password = read_record(lake, "prefect"), read_password(lake)
    is_own = record is not None and api.rstrip("/") == f"{record.url}/api"
    return {AUTH_VARIABLE: password} if is_own and password and not os.environ.get(AUTH_VARIABLE) else {}


def _check(api: str) -> None:
    """Raise ServiceError unless the API in `$PREFECT_API_URL` answers to these credentials."""
    if why := refusal(f"{api.rstrip('/')}/health"):
        raise ServiceError(f"no Prefect API answers at {api} ($PREFECT_API_URL): {why}; start it, or unset it")
    if wants_another_password(api, os.environ):
        raise ServiceError(
            f"the Prefect API at {api} asks for another password: set {AUTH_VARIABLE}; that of a lake's servers is in "
            "its services/password"
        )


def wants_another_password(api: str, environment: Mapping[str, str]) -> bool:
    """True if an API refuses the password of these variables; keys of Prefect Cloud are not looked at."""
    if "PREFECT_API_KEY" in environment:
        return False
    return is_closed(f"{api.rstrip('/')}/admin/version", environment.get(AUTH_VARIABLE, ""))


@contextlib.contextmanager
def _client_settings(variables: dict[str, str]) -> Iterator[None]:
    """Set variables of Prefect's clients for a block; a value of "" sets none."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    if context := sys.modules.get("prefect.context"):  # it reads its settings once, when it is imported
        context.refresh_global_settings_context()


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
def _private_server(lake: Lake, modules: Sequence[str]) -> Iterator[str]:
    url, log = address(ANY_PORT), lake.services / "prefect-private.log"
    with contextlib.ExitStack() as start:
        start.enter_context(services_lock(lake))
        create_database(lake)
        require_schema(lake)
        environment = server_environment(lake, "private", url, make_password(lake))
        command = prefect_command(url, os.getpid())
        process = start_server(command, environment, log)
        try:
            for module in ("prefect.flows", *modules):
                importlib.import_module(module)
            wait_until_healthy("prefect", url, log, process)
            start.close()
            yield url
        finally:
            end_groups([process.pid], STOP_TIMEOUT_S)
            process.wait()
