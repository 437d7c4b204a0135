"""The hosts of a training job, in DeepSpeed's format: a line `host slots=N` for each, one rank on each slot.

Hosts are reached by ssh without a password; the lake and the Python environment lie on all of them under the same
path.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError

NAME = re.compile(r"(?:[\w.-]+@)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
HERE = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Host:
    """A machine and the ranks that run on it."""

    name: str
    slots: int


def read_hostfile(path: Path) -> tuple[Host, ...]:
    """The hosts in a file; comments begin with `#`. Raises UserError with file and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"hostfile {path} cannot be read: {reason}") from error
    seen: dict[str, int] = {}
    hosts = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        host = _host(words, f"{path}, line {number}")
        if host.name in seen:
            raise UserError(
                f"{path}, line {number}: {host.name} is in line {seen[host.name]} already; name a host once"
            )
        seen[host.name] = number
        hosts.append(host)
    if not hosts:
        raise UserError(f"{path} names no host; write a line such as: localhost slots=2")
    return tuple(hosts)


def _host(words: list[str], where: str) -> Host:
    name, *rest = words
    if not NAME.fullmatch(name):
        raise UserError(f"{where}: {name!r} is no name of a host; write a line such as: localhost slots=2")
    slots = re.fullmatch(r"slots=([1-9]\d{0,4})", " ".join(rest))
    if slots is None:
        given = f"not {' '.join(rest)!r}" if rest else "which are missing"
        raise UserError(f"{where}: a host's name is followed by its slots, such as slots=2, {given}")
    return Host(name, int(slots[1]))


def chosen_hosts(hosts: Sequence[Host], ranks: int | None) -> tuple[Host, ...]:
    """The hosts that so many ranks fill, in order; all of them for None. Raises UserError when slots are too few."""
    slots = sum(host.slots for host in hosts)
    left = slots if ranks is None else ranks
    if left > slots:
        raise UserError(f"{left} ranks do not fit in the hostfile's {slots} slots; lower ranks or add slots")
    chosen = []
    for host in hosts:
        if left > 0:
            chosen.append(Host(host.name, min(host.slots, left)))
            left -= host.slots
    return tuple(chosen)


def here(hosts: Sequence[Host]) -> bool:
    """Whether all ranks run on this machine, so that nothing has to be reached by ssh."""
    return [host.name for host in hosts] in [[name] for name in (*HERE, socket.gethostname())]


def as_hostfile(hosts: Sequence[Host]) -> str:
    """The text of a hostfile."""
    return "".join(f"{host.name} slots={host.slots}\n" for host in hosts)
