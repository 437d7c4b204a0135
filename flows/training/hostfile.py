"""The hosts of a training job, in DeepSpeed's format: one line `host slots=N` each, one rank on each slot.

Hosts are reached by ssh without a password; the lake and the Python environment have the same path on all of them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError

NAME = re.compile(r"(?:[\w.-]+@)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
LOCAL_NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Host:
    """A machine and the number of ranks on it."""

    name: str
    slots: int


def read_hostfile(path: Path) -> tuple[Host, ...]:
    """Read the hosts in a file; comments begin with `#`. Raises UserError naming file and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"hostfile {path} cannot be read: {reason}") from error
    seen: dict[str, int] = {}
    hosts = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        host = _parse_host(words, f"{path}, line {number}")
        if host.name in seen:
            raise UserError(
                f"{path}, line {number}: {host.name} is in line {seen[host.name]} already; name a host once"
            )
        seen[host.name] = number
        hosts.append(host)
    if not hosts:
        raise UserError(f"{path} names no host; write a line such as: localhost slots=2")
    return tuple(hosts)


def _parse_host(words: list[str], where: str) -> Host:
    name, *rest = words
    if not NAME.fullmatch(name):
        raise UserError(f"{where}: {name!r} is not a host name; write a line such as: localhost slots=2")
    slots = re.fullmatch(r"slots=([1-9]\d{0,4})", " ".join(rest))
    if slots is None:
        found = repr(" ".join(rest)) if rest else "nothing"
        raise UserError(f"{where}: expected slots=N behind {name}, such as slots=2, found {found}")
    return Host(name, int(slots[1]))


def select_hosts(hosts: Sequence[Host], ranks: int | None) -> tuple[Host, ...]:
    """Return the hosts that `ranks` processes fill, in order; all hosts for None.

    Raises UserError when there are fewer slots than ranks.
    """
    slots = sum(host.slots for host in hosts)
    left = slots if ranks is None else ranks
    if left > slots:
        raise UserError(f"{left} ranks do not fit in the hostfile's {slots} slots; lower ranks or add slots")
    selected = []
    for host in hosts:
        if left > 0:
            selected.append(Host(host.name, min(host.slots, left)))
            left -= host.slots
    return tuple(selected)


def is_local(hosts: Sequence[Host]) -> bool:
    """True if all ranks run on this machine, so that no host has to be reached by ssh."""
    return [host.name for host in hosts] in [[name] for name in (*LOCAL_NAMES, socket.gethostname())]


def format_hostfile(hosts: Sequence[Host]) -> str:
    """Return the text of a hostfile."""
    return "".join(f"{host.name} slots={host.slots}\n" for host in hosts)
