"""The checks of `musenet doctor`: each looks at one part of a set-up and changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.errors import UserError, message_of
from infra.lake import Lake
from infra.services.database import database
from infra.services.health import answers, refusal
from infra.services.password import AUTH_VARIABLE, password_file
from infra.services.prefect_api import credentials, wants_another_password
from infra.services.records import read_record
from infra.services.registry_address import is_server, own_registry, printable, registry_address
from infra.services.schema import expected_revision, stored_revision

FREE_GB = 5.0
"""Free space below which a training of a small preset may not end."""

UPGRADE = "stop everything that uses the lake, then `musenet upgrade`"


@dataclass(frozen=True)
class Finding:
    """What a check has found."""

    subject: str
    state: Literal["good", "note", "bad"]
    """`note`: something is missing that not every set-up needs."""
    found: str
    remedy: str = ""

    def line(self) -> str:
        """Format the finding as a line."""
        mark = {"good": "✓", "note": "-", "bad": "✗"}[self.state]
        return f"{mark} {self.subject:12} {self.found}" + (f": {self.remedy}" if self.remedy else "")


def examine(lake: Lake, hostfile: Path | None) -> Iterator[Finding]:
    """Yield the findings on a lake, this machine and the hosts of a hostfile."""
    yield from check_disk(lake)
    yield from check_servers(lake)
    yield from check_password(lake)
    yield from check_prefect_schema(lake)
    yield from check_registry(lake)
    yield from check_compiler()
    yield from check_devices()
    if hostfile is not None:
        yield from check_hostfile(hostfile)


def check_disk(lake: Lake) -> Iterator[Finding]:
    """Check that the lake can be written to, and has room."""
    folder = next(path for path in (lake.root, *lake.root.parents) if path.is_dir())
    if not os.access(folder, os.W_OK):
        yield Finding("lake", "bad", f"{folder} cannot be written to", "change its owner, or name another by --lake")
        return
    free = shutil.disk_usage(folder).free / 1e9
    if free < FREE_GB:
        yield Finding("disk", "bad", f"{free:.1f} GB are free in {folder}", "make room; `musenet gc` lists what can go")
    else:
        yield Finding("disk", "good", f"{free:,.0f} GB are free in {folder}")


def check_servers(lake: Lake) -> Iterator[Finding]:
    """Check that the servers that are meant to run answer."""
    for name in ("prefect", "mlflow"):
        record = read_record(lake, name)
        if record is None:
            yield Finding(name, "note", "no server stays", "`musenet up` starts one; commands need none")
        elif answers(name, record.url):
            yield Finding(name, "good", f"answers at {record.url}")
        else:
            yield Finding(
                name, "bad", f"no answer at {record.url}", f"`musenet down`, `musenet up`; its log is {record.log}"
            )
    if api := os.environ.get("PREFECT_API_URL"):
        yield _check_api(lake, api.rstrip("/"))


def _check_api(lake: Lake, api: str) -> Finding:
    if why := refusal(f"{api}/health"):
        return Finding(
            "prefect", "bad", f"no answer at {api} (PREFECT_API_URL): {why}", "start it, or unset the variable"
        )
    if wants_another_password(api, {**os.environ, **credentials(lake, api)}):
        return Finding("prefect", "bad", f"{api} asks for another password", f"set {AUTH_VARIABLE}")
    return Finding("prefect", "good", f"answers at {api}")


def check_password(lake: Lake) -> Iterator[Finding]:
    """Check that the servers' password is its owner's alone."""
    path = password_file(lake)
    if not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("password", "bad", f"others may read {path}", f"chmod 600 {path}")
    else:
        yield Finding("password", "good", f"in {path}")


def check_prefect_schema(lake: Lake) -> Iterator[Finding]:
    """Check that Prefect's database has the schema of the installed release."""
    if not database(lake).exists():
        return
    try:
        stored, expected = stored_revision(database(lake)), expected_revision()
    except sqlite3.Error as error:
        yield Finding("prefect", "bad", f"{database(lake)}: {error}", "move it away: only the history is lost")
        return
    if stored == expected:
        yield Finding("prefect", "good", f"its database has the schema of the installed release ({stored})")
    else:
        found = f"its database has schema {stored}, the installed Prefect {expected}"
        yield Finding("prefect", "bad", found, UPGRADE)


def check_registry(lake: Lake) -> Iterator[Finding]:
    """Check that the registry is there and has the schema of the installed MLflow."""
    from registry.schema import expected_revision as expected_by_mlflow

    uri = registry_address(lake)
    if is_server(uri):
        why = refusal(uri)
        where = printable(uri)
        yield (
            Finding("registry", "bad", f"no answer at {where}: {why}", "start it")
            if why
            else Finding("registry", "good", f"answers at {where}")
        )
    elif uri != own_registry(lake):
        yield Finding("registry", "note", f"in {printable(uri)}, which is not looked at")
    elif not lake.registry_database.exists():
        yield Finding("registry", "note", "none yet")
    else:
        try:
            stored, expected = stored_revision(lake.registry_database), expected_by_mlflow()
        except sqlite3.Error as error:
            yield Finding("registry", "bad", f"{lake.registry_database}: {error}", "restore it from a backup")
            return
        if stored == expected:
            yield Finding("registry", "good", f"has the schema of the installed MLflow ({stored})")
        else:
            yield Finding("registry", "bad", f"has schema {stored}, the installed MLflow {expected}", UPGRADE)


def check_compiler() -> Iterator[Finding]:
    """Check that DeepSpeed can build its extension."""
    for tool, package in (("g++", "apt install g++"), ("ninja", "pip install ninja")):
        where = shutil.which(tool, path=os.pathsep.join([str(_own_programs()), os.environ.get("PATH", os.defpath)]))
        yield (
            Finding("compiler", "good", where)
            if where
            else Finding("compiler", "bad", f"no {tool}, which training needs at its first start", package)
        )


def _own_programs() -> Path:
    """Return the folder of this Python's programs, which are found though it is not activated."""
    return Path(sys.executable).parent


def check_devices() -> Iterator[Finding]:
    """Check whether PyTorch can use the GPUs that the machine has."""
    from modeling.training.devices import describe_devices

    found = describe_devices()
    if found != "none":
        yield Finding("GPU", "good", found)
    elif shutil.which("nvidia-smi"):
        remedy = "`nvidia-smi` shows the driver's CUDA; install the PyTorch built for it"
        yield Finding("GPU", "bad", "PyTorch can use none of this machine's", remedy)
    else:
        yield Finding("GPU", "note", "none: training and sampling use the processor")


def check_hostfile(path: Path) -> Iterator[Finding]:
    """Check that the hosts of a hostfile can be reached as DeepSpeed does."""
    from flows.training.hostfile import read_hostfile
    from flows.training.remote_hosts import TOOLS, missing_tools, unreachable

    try:
        hosts = read_hostfile(path)
    except UserError as error:
        yield Finding("hostfile", "bad", message_of(error))
        return
    missing = missing_tools()
    for tool in missing:
        yield Finding("hosts", "bad", f"no {tool}", f"apt install {TOOLS[tool]}")
    for host in hosts if "ssh" not in missing else ():
        reason = unreachable(host.name)
        yield (
            Finding("hosts", "good", f"{host.name} lets commands in")
            if reason is None
            else Finding("hosts", "bad", f"{host.name}: {reason}", f"ssh-copy-id {host.name}")
        )
