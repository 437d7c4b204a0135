"""The background servers of a lake: start, stop, and ask for both."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from infra.lake import Lake
from infra.processes import end_groups
from infra.services.automations import install
from infra.services.commands import server_command, start_server
from infra.services.database import create_database, create_registry
from infra.services.environment import server_environment
from infra.services.health import PortTaken, ServiceError, address, answers, port_of, wait_until_healthy
from infra.services.liveness import dead_run_automations
from infra.services.password import make_password
from infra.services.records import (
    Record,
    identities,
    last_url,
    read_record,
    remove_record,
    services_lock,
    write_record,
)
from infra.services.registry_address import is_server, registry_address
from infra.services.rest import PrefectAPI
from infra.services.run_prefect import STOP_TIMEOUT_S
from infra.services.schema import require_schema

ServerName = Literal["prefect", "mlflow"]

PREFERRED_PORTS: dict[ServerName, int] = {"prefect": 4200, "mlflow": 5000}
ANY_PORT = 0
PORTS = 5
"""That a server is started on, one after the other, while other programs take them."""


@dataclass(frozen=True)
class Service:
    """State of a server, as `up`, `down` and `status` report it; `dataclasses.asdict` of it is plain JSON."""

    name: str
    running: bool
    changed: bool
    """True if the call that returned this started or stopped it."""
    url: str | None
    pid: int | None
    log: str
    started_at: str | None


def up(lake: Lake) -> list[Service]:
    """Start the servers that do not run and return when all of them answer.

    Raises ServiceError when one of them stops or does not answer in time, whereupon those that this call started are
    stopped again, and for a database that has to be upgraded first.
    """
    with services_lock(lake):
        records = {name: record for name in PREFERRED_PORTS if (record := read_record(lake, name))}
        processes: dict[ServerName, subprocess.Popen[bytes]] = {}
        create_database(lake)
        create_registry(lake)
        if "prefect" not in records:
            require_schema(lake)
        password = make_password(lake)
        try:
            for name in own_servers(lake) - records.keys():
                processes[name], records[name] = _start(lake, name, password, _preferred_port(lake, name))
            for name in records:
                for _ in range(PORTS):
                    try:
                        wait_until_healthy(name, records[name].url, Path(records[name].log), processes.get(name))
                        break
                    except PortTaken:  # between the look at the port and the server's own
                        processes[name], records[name] = _start(lake, name, password, ANY_PORT)
                else:
                    raise ServiceError(f"other programs took {PORTS} ports before the {name} server: start it again")
            if "prefect" in processes:
                prefect = PrefectAPI(f"{records['prefect'].url}/api", password)
                for automation in dead_run_automations():
                    install(prefect, automation)
            for name, process in processes.items():  # by now they have their children
                write_record(lake, name, replace(records[name], processes=identities(process.pid)))
        except BaseException:
            end_groups([process.pid for process in processes.values()], STOP_TIMEOUT_S)
            for name in processes:
                remove_record(lake, name)
            raise
    return [_service(lake, name, records.get(name), name in processes) for name in PREFERRED_PORTS]


def _start(lake: Lake, name: ServerName, password: str, port: int) -> tuple[subprocess.Popen[bytes], Record]:
    """Start a server, on another port where that one is taken, and record it."""
    url, log = address(port), lake.services / f"{name}.log"
    process = start_server(server_command(lake, name, url), server_environment(lake, name, url, password), log)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    record = Record(url, str(log), started_at, identities(process.pid))
    write_record(lake, name, record)
    return process, record


def _preferred_port(lake: Lake, name: ServerName) -> int:
    """Return the port of a server that was killed, where flow runs and workers wait for it; else the usual one."""
    url = last_url(lake, name)
    return PREFERRED_PORTS[name] if url is None else port_of(url)


def own_servers(lake: Lake) -> set[ServerName]:
    """Return the servers that a lake has: no MLflow where `$MLFLOW_TRACKING_URI` names a server elsewhere."""
    return PREFERRED_PORTS.keys() - ({"mlflow"} if is_server(registry_address(lake)) else set())


def down(lake: Lake) -> list[Service]:
    """Stop the servers that `up` started, with every process they started."""
    with services_lock(lake):
        records = {name: record for name in PREFERRED_PORTS if (record := read_record(lake, name))}
        end_groups([record.leader for record in records.values()], STOP_TIMEOUT_S)
        for name in PREFERRED_PORTS:
            remove_record(lake, name)
    return [_service(lake, name, None, changed=name in records) for name in PREFERRED_PORTS]


def status(lake: Lake) -> list[Service]:
    """Return the state of both servers."""
    return [_service(lake, name, read_record(lake, name), changed=False) for name in PREFERRED_PORTS]


def _service(lake: Lake, name: str, record: Record | None, changed: bool) -> Service:
    log = str(lake.services / f"{name}.log")
    if record is None and name not in own_servers(lake):
        return Service(name, answers(name, url := registry_address(lake)), False, url, None, log, None)
    if record is None:
        return Service(name, False, changed, None, None, log, None)
    return Service(name, True, changed, record.url, record.leader, record.log, record.started_at)
