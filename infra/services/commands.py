"""Command lines of the servers, and starting them as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.lake import Lake
from infra.services import run_prefect
from infra.services.environment import HOST, OWN_NAMES, own_origins
from infra.services.registry_address import ARTIFACTS_VARIABLE, registry_address


def server_command(lake: Lake, name: str, url: str) -> list[str]:
    """Return the command of a background server, `prefect` or `mlflow`."""
    if name == "prefect":
        return prefect_command(url, parent=0)
    port = url.rpartition(":")[2]
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", port),
        # By default it also answers to every name in a private network.
        *("--allowed-hosts", ",".join(f"{name}:{port}" for name in OWN_NAMES)),
        *("--cors-allowed-origins", own_origins(url)),
        *("--backend-store-uri", registry_address(lake)),
        # Clients write to the same database and artifacts themselves: the server only shows them.
        *("--default-artifact-root", os.environ.get(ARTIFACTS_VARIABLE) or lake.registry_artifacts.as_uri()),
        "--no-serve-artifacts",
        *("--workers", "1", "--uvicorn-opts", "--log-level warning"),
    ]


def prefect_command(url: str, parent: int) -> list[str]:
    """Return the command of a Prefect server that ends with the process `parent`; 0 for none."""
    return [sys.executable, run_prefect.__file__, HOST, url.rpartition(":")[2], str(parent)]


def start_server(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own; its output is appended to `log`."""
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
