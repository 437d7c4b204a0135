"""State files of background servers, which find a server again and tell it from a process that reused its pid."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from infra.files import write_atomically
from infra.lake import Lake
from infra.locks import exclusive
from infra.processes import group_members, still_runs

# A start time is read from the kernel's clock since boot, which may shift a little when the clock is set.
START_TIME_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Record:
    """Content of a state file."""

    url: str
    log: str
    started_at: str
    processes: Sequence[tuple[int, float]]
    """(pid, start time) of the server and its children; a reused pid has another start time."""

    @property
    def leader(self) -> int:
        """The pid of the server, which is also the id of the process group of all its processes."""
        return self.processes[0][0]


def read_record(lake: Lake, name: str) -> Record | None:
    """Return the record of a server that runs, None if its file is absent or stale."""
    try:
        state = json.loads(_state_file(lake, name).read_text())
    except FileNotFoundError:
        return None
    record = Record(**state)
    return record if any(_alive(pid, started) for pid, started in record.processes) else None


def last_url(lake: Lake, name: str) -> str | None:
    """Return the address that a server of `up` has or, where it was killed, had; None where it was stopped."""
    try:
        return str(json.loads(_state_file(lake, name).read_text())["url"])
    except FileNotFoundError:
        return None


def write_record(lake: Lake, name: str, record: Record) -> None:
    """Write a server's state file."""
    write_atomically(_state_file(lake, name), json.dumps(asdict(record), indent=2).encode())


def remove_record(lake: Lake, name: str) -> None:
    """Remove a server's state file, if there is one."""
    _state_file(lake, name).unlink(missing_ok=True)


def identities(leader: int) -> list[tuple[int, float]]:
    """Return (pid, start time) of all processes of a group, its leader first."""
    others = [process for process in group_members(leader) if process.pid != leader]
    return [(process.pid, process.create_time()) for process in (psutil.Process(leader), *others)]


@contextlib.contextmanager
def services_lock(lake: Lake) -> Iterator[None]:
    """Let one process at a time start or stop servers of a lake. Creates the folders that they write to."""
    for folder in (lake.services, lake.prefect_home, lake.registry_artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    with exclusive(lake.services / "lock"):
        yield


def _state_file(lake: Lake, name: str) -> Path:
    return lake.services / f"{name}.json"


def _alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < START_TIME_TOLERANCE_S and still_runs(process)
    except psutil.NoSuchProcess:
        return False
