"""The local servers: Prefect's and MLflow's pages in the background, and a Prefect server for one command.

`up`, `down` and `status` keep both servers of a lake running behind the terminal. `prefect_server` lends a
command a Prefect API for as long as its flows run. All of them write the same two SQLite files, so what one
command recorded is on the pages that `up` opens later.

Neither library is imported here: both run in processes of their own, bound to 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from infra.errors import RunError
from infra.files import write_atomically
from infra.lake import Lake
from infra.locks import exclusive
from infra.processes import end_groups, end_with_parent, group_members, still_runs

HOST = "127.0.0.1"
PREFERRED_PORTS = {"prefect": 4200, "mlflow": 5000}
HEALTH_PATHS = {"prefect": "/api/health", "mlflow": "/health"}
START_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = DRAIN_TIMEOUT_S + 15.0

# A start time is read from the kernel's clock since boot, which may shift a little when the clock is set.
START_TIME_TOLERANCE_S = 2.0


class ServiceError(RunError):
    """A server could not be started. The message names its log file."""


@dataclass(frozen=True)
class Service:
    """What `up`, `down` and `status` say of one server; `dataclasses.asdict` of it is plain JSON."""

    name: str
    running: bool
    changed: bool
    """Whether the call that returned this started or stopped it."""
    url: str | None
    pid: int | None
    log: str
    started_at: str | None


@dataclass(frozen=True)
class _Record:
    """A state file: what is needed to find a server again and to know that it is still that server."""

    url: str
    log: str
    started_at: str
    processes: Sequence[tuple[int, float]]
    """(pid, start time) of the server and its children; a reused pid has another start time."""

    @property
    def leader(self) -> int:
        """The pid of the server itself, and the number of the process group of all."""
        return self.processes[0][0]


def up(lake: Lake) -> list[Service]:
    """Starts the servers that do not run and returns when all of them answer.

    Raises ServiceError when one of them stops or does not answer in time; those that this call started are
    then stopped again.
    """
    with _lock(lake):
        records = {name: record for name in PREFERRED_PORTS if (record := _read(lake, name))}
        processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in PREFERRED_PORTS.keys() - records.keys():
                url, log = f"http://{HOST}:{_port(PREFERRED_PORTS[name])}", lake.services / f"{name}.log"
                processes[name] = _start(_command(lake, name, url), _environment(lake, name, url), log)
                records[name] = _Record(url, str(log), _now(), _identities(processes[name].pid))
                _write(lake, name, records[name])
            for name, record in records.items():
                _wait_until_healthy(name, record.url, Path(record.log), processes.get(name))
            for name, process in processes.items():  # by now they have their children
                _write(lake, name, replace(records[name], processes=_identities(process.pid)))
        except BaseException:
            end_groups([process.pid for process in processes.values()], STOP_TIMEOUT_S)
            for name in processes:
                _state_file(lake, name).unlink(missing_ok=True)
            raise
    return [_service(lake, name, records[name], name in processes) for name in PREFERRED_PORTS]


def down(lake: Lake) -> list[Service]:
    """Stops the servers that `up` started, with every process they started."""
    with _lock(lake):
        records = {name: record for name in PREFERRED_PORTS if (record := _read(lake, name))}
        end_groups([record.leader for record in records.values()], STOP_TIMEOUT_S)
        for name in PREFERRED_PORTS:
            _state_file(lake, name).unlink(missing_ok=True)
    return [_service(lake, name, None, changed=name in records) for name in PREFERRED_PORTS]


def status(lake: Lake) -> list[Service]:
    """Says which servers run, and where."""
    return [_service(lake, name, _read(lake, name), changed=False) for name in PREFERRED_PORTS]


@contextlib.contextmanager
def prefect_server(lake: Lake) -> Iterator[str]:
    """Lends a Prefect API on the lake's database and yields its address.

    An address in `$PREFECT_API_URL` is used as it is, then the server that `up` started; else a private one
    runs for the duration. Several private servers may share a lake: SQLite's write-ahead log orders their
    writes, and the lock lets only one of them create or migrate the database.

    `$PREFECT_API_URL` is set inside the block; import Prefect, and the flows, inside it too. On leaving it,
    everything the flows reported has reached the database, whatever ended the block. A private server also
    ends by itself when this process is killed.

    Raises ServiceError when the private server does not start.
    """
    if given := os.environ.get("PREFECT_API_URL"):
        lake.prefect_home.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with contextlib.ExitStack() as stack:
        record = _read(lake, "prefect")
        if record is not None and _answers("prefect", record.url):
            url = record.url
        else:
            url = stack.enter_context(_private_prefect(lake))
        os.environ["PREFECT_API_URL"] = f"{url}/api"
        _refresh_prefect_settings()
        try:
            yield f"{url}/api"
        finally:
            try:
                _drain_prefect()
            finally:
                os.environ.pop("PREFECT_API_URL", None)
                _refresh_prefect_settings()


@contextlib.contextmanager
def _private_prefect(lake: Lake) -> Iterator[str]:
    url, log = f"http://{HOST}:{_port(0)}", lake.services / "prefect-private.log"
    with contextlib.ExitStack() as start:
        start.enter_context(_lock(lake))
        process = _start(_prefect_command(url, os.getpid()), _environment(lake, "private", url), log)
        try:
            importlib.import_module("prefect.flows")  # takes as long as half of the server's start: side by side
            _wait_until_healthy("prefect", url, log, process)
            start.close()
            yield url
        finally:
            end_groups([process.pid], STOP_TIMEOUT_S)
            process.wait()


def _refresh_prefect_settings() -> None:
    """Prefect reads its settings once, when imported: an earlier import has to look at the address again."""
    if context := sys.modules.get("prefect.context"):
        context.refresh_global_settings_context()


def _drain_prefect() -> None:
    """Sends what Prefect's threads in this process have queued: log lines, and the events that are its only
    record of task runs. Prefect itself does so at interpreter exit, when a private server is gone."""
    if logs := sys.modules.get("prefect.logging.handlers"):
        logs.APILogWorker.drain_all(timeout=DRAIN_TIMEOUT_S)
    if events := sys.modules.get("prefect.events.worker"):
        events.EventsWorker.drain_all(timeout=DRAIN_TIMEOUT_S)


def _command(lake: Lake, name: str, url: str) -> list[str]:
    if name == "prefect":
        return _prefect_command(url, parent=0)
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", url.rpartition(":")[2]),
        *("--backend-store-uri", f"sqlite:///{lake.registry_database}"),
        # Clients write to the same database and folder themselves: the server only shows them.
        *("--default-artifact-root", lake.registry_artifacts.as_uri(), "--no-serve-artifacts"),
        *("--workers", "1", "--uvicorn-opts", "--log-level warning"),
    ]


def _prefect_command(url: str, parent: int) -> list[str]:
    """Runs this file as a script. `parent` is the process whose end also ends the server; 0 for none."""
    return [sys.executable, __file__, url.rpartition(":")[2], str(parent)]


def _environment(lake: Lake, name: str, url: str) -> dict[str, str]:
    """The variables for a server: `prefect`, `mlflow` or `private` (Prefect without pages and schedules)."""
    # The user's own Prefect settings may name another database, and another API for the pages to ask.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    ours = {
        "PYTHONSAFEPATH": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": url.rpartition(":")[2],
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(lake.prefect_home / "pages"),
        # By default each event of a task run is a transaction: slower than tasks can be.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    }
    private = {
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_UI_ENABLED": "0",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
        # Nobody watches: only full batches, and the rest in the end.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "3600",
    }
    return {**inherited, **lake.environment(), **ours, **(private if name == "private" else {})}


def _start(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C in the terminal is for the command, not for its servers
        )


def _port(preferred: int) -> int:
    """The preferred port when nobody listens there, else a free one."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise ServiceError(f"no free port on {HOST}")


def _answers(name: str, url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url + HEALTH_PATHS[name], timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _wait_until_healthy(name: str, url: str, log: Path, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (_answers(name, url) and (process is None or _listens(process.pid, url))):
        if process is not None and process.poll() is not None:
            raise ServiceError(f"the {name} server ended as it started (code {process.returncode}): see {log}")
        if time.monotonic() > deadline:
            raise ServiceError(f"no answer from the {name} server at {url} in {START_TIMEOUT_S:.0f} s: see {log}")
        time.sleep(0.05)


def _listens(leader: int, url: str) -> bool:
    """Whether it is this server that answers: another one may have taken the port while it was starting."""
    port = int(url.rpartition(":")[2])
    for process in group_members(leader):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return True
    return False


def _alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < START_TIME_TOLERANCE_S and still_runs(process)
    except psutil.NoSuchProcess:
        return False


def _state_file(lake: Lake, name: str) -> Path:
    return lake.services / f"{name}.json"


def _read(lake: Lake, name: str) -> _Record | None:
    """The state of a server that runs; None when its file is absent or stale."""
    try:
        state = json.loads(_state_file(lake, name).read_text())
    except FileNotFoundError:
        return None
    record = _Record(**state)
    return record if any(_alive(pid, started) for pid, started in record.processes) else None


def _write(lake: Lake, name: str, record: _Record) -> None:
    write_atomically(_state_file(lake, name), json.dumps(asdict(record), indent=2).encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _identities(leader: int) -> list[tuple[int, float]]:
    others = [process for process in group_members(leader) if process.pid != leader]
    return [(process.pid, process.create_time()) for process in (psutil.Process(leader), *others)]


def _service(lake: Lake, name: str, record: _Record | None, changed: bool) -> Service:
    log = str(lake.services / f"{name}.log")
    if record is None:
        return Service(name, False, changed, None, None, log, None)
    return Service(name, True, changed, record.url, record.leader, record.log, record.started_at)


@contextlib.contextmanager
def _lock(lake: Lake) -> Iterator[None]:
    """Lets one process at a time start or stop servers of this lake. Creates the folders they write to."""
    for folder in (lake.services, lake.prefect_home, lake.registry_artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    with exclusive(lake.services / "lock"):
        yield


def _serve_prefect(port: int, parent: int) -> None:
    """Runs a Prefect server until told to stop, or until `parent` is no longer its parent: it was killed."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Prefect would drop the events that it has accepted but not yet recorded.
            await _recorded(quiet_s=0.2 if parent else 2.0)
            await super().shutdown(sockets)

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_TIMEOUT_S)
        os._exit(1)

    if parent:
        end_with_parent(stop, parent)
    app = "prefect.server.api.server:create_app"
    config = uvicorn.Config(app, factory=True, host=HOST, port=port, log_level="error")
    config.timeout_graceful_shutdown = 3  # a browser may keep its connection open
    server = Server(config)
    server.run()
    sys.exit(0 if server.started else 1)


async def _recorded(quiet_s: float) -> None:
    """Returns when for `quiet_s` no event has arrived or waited, or after a time limit.

    `quiet_s` covers the recorder's flush interval, unless that is long: then the stop itself writes the rest.
    """
    metrics = sys.modules["prefect.server.utilities.messaging.memory"].METRICS["events"]
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    seen, since = -1, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < quiet_s:
        if metrics["published"] != metrics["consumed"] or metrics["published"] != seen:
            seen, since = metrics["published"], time.monotonic()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    _serve_prefect(port=int(sys.argv[1]), parent=int(sys.argv[2]))
