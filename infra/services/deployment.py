"""The deployments of `prefect.yaml` on a Prefect server, with their work pool and automations."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import infra
from infra.errors import RunError, UserError
from infra.lake import Lake
from infra.services.environment import HOST, library_environment
from infra.services.health import answers
from infra.services.liveness import install_automation
from infra.services.password import AUTH_VARIABLE
from infra.services.prefect_api import credentials
from infra.services.records import read_record
from infra.services.rest import PrefectAPI

POOL = "musenet"
CHECKOUT = Path(infra.__file__).parents[1]
DEFINITION = (
    *("entrypoint", "path", "description", "tags", "parameter_openapi_schema", "work_pool_name", "job_variables"),
    *("concurrency_limit", "pull_steps"),
)
"""What of a deployment `prefect.yaml` and the flows' code decide."""


@dataclass(frozen=True)
class Deployed:
    """What deploying has changed on a server."""

    server: str
    deployments: tuple[str, ...]
    """All that `prefect.yaml` names."""
    changed: tuple[str, ...]
    """Those of them that are new or were different."""
    pool_created: bool
    automation_created: bool

    def lines(self) -> list[str]:
        """Say it in a line each."""
        new = {True: "created", False: "as it was"}
        return [
            f"server       {self.server}",
            f"work pool    {POOL}: {new[self.pool_created]}",
            *(f"deployment   {name}: {'set' if name in self.changed else 'as it was'}" for name in self.deployments),
            f"automation   dead flow runs: {new[self.automation_created]}",
        ]


def client_environment(lake: Lake) -> dict[str, str]:
    """Return the variables for Prefect's own commands: those of the lake, and the server that stays with its password.

    That is the one at `$PREFECT_API_URL`, else the lake's. Raises UserError where there is none.
    """
    environment = {**os.environ, **library_environment(lake)}
    record = read_record(lake, "prefect")
    own = None if record is None or not answers("prefect", record.url) else f"{record.url}/api"
    address = os.environ.get("PREFECT_API_URL") or own
    if address is None:
        raise UserError("no Prefect server runs on this lake; start it with `musenet up`, or set PREFECT_API_URL")
    environment["PREFECT_API_URL"] = address
    return {**environment, **credentials(lake, address)}


def deploy(lake: Lake) -> Deployed:
    """Put pool, deployments and automation on the server. Raises UserError, and RunError where it refuses them."""
    if not (CHECKOUT / "prefect.yaml").exists():
        raise UserError(f"{CHECKOUT} has no prefect.yaml: deploy from a checkout of musenet")
    environment = client_environment(lake)
    address = environment["PREFECT_API_URL"]
    server = PrefectAPI(address, environment.get(AUTH_VARIABLE))
    try:
        pool_created = server.get(f"work_pools/{POOL}") is None
        if pool_created:
            _prefect(environment, "work-pool", "create", POOL, "--type", "process")
        before = _deployments(server)
        _prefect(environment, "deploy", "--all")
        after = _deployments(server)
        automation_created = install_automation(server)
    except OSError as error:
        raise RunError(f"the Prefect server at {address} refuses: {error}") from error
    changed = tuple(name for name in after if before.get(name) != after[name])
    return Deployed(address, tuple(after), changed, pool_created, automation_created)


def worker_command(health_port: int | None = None) -> tuple[list[str], dict[str, str]]:
    """Return the command of a worker that runs the deployments' flows, and the variables that it needs.

    With `health_port` it answers there, to this machine alone, whether it still asks the server for work (`/health`).
    """
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    if health_port is None:
        return command, {}
    address = {"PREFECT_WORKER_WEBSERVER_HOST": HOST, "PREFECT_WORKER_WEBSERVER_PORT": str(health_port)}
    return [*command, "--with-healthcheck"], address


def _deployments(server: PrefectAPI) -> dict[str, dict[str, Any]]:
    """Return the definitions of all deployments of the pool, by name."""
    wanted = {"work_pools": {"name": {"any_": [POOL]}}, "sort": "NAME_ASC"}
    return {
        each["name"]: {key: each.get(key) for key in DEFINITION} for each in server.post("deployments/filter", wanted)
    }


def _prefect(environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise RunError(f"`prefect {' '.join(words)}` failed: {said[-300:]}")
