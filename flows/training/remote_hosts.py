"""The other hosts of a training job, asked before it starts: DeepSpeed's own errors name files of the run's folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from flows.training.hostfile import Host
from infra.errors import UserError

TOOLS = {"ssh": "openssh-client", "pdsh": "pdsh"}
"""Programs by which DeepSpeed starts ranks on other hosts, and the Debian packages that have them."""
CONNECT_SECONDS = 10
ASKED_AT_ONCE = 32


def check_hosts(hosts: Sequence[Host]) -> None:
    """Raise UserError where a program to reach hosts is missing, or a host lets no one in without a password."""
    if missing := missing_tools():
        packages = " ".join(TOOLS[tool] for tool in missing)
        raise UserError(
            f"training on the hosts of a hostfile needs {' and '.join(missing)} on this machine: apt install "
            f"{packages}; or train here, without --hostfile"
        )
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        reasons = dict(zip(hosts, threads.map(lambda host: unreachable(host.name), hosts)))
    for host, reason in reasons.items():
        if reason is not None:
            raise UserError(
                f"host {host.name} cannot be reached by ssh without a password: {reason}; try `ssh {host.name} true`, "
                "or take it out of the hostfile"
            )


def missing_tools() -> list[str]:
    """Return the programs of TOOLS that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def unreachable(host: str) -> str | None:
    """Return why a command cannot be run on a host, None if it can."""
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"]
    try:
        done = subprocess.run(
            ["ssh", *options, host, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * CONNECT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return "no answer"
    said = done.stderr.strip().splitlines()
    return None if done.returncode == 0 else said[-1] if said else f"exit status {done.returncode}"
