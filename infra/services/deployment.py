"""The deployments of `prefect.yaml` on a Prefect server, with all that belongs to them there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import infra
from infra.errors import RunError, UserError
from infra.lake import Lake
from infra.services.automations import Automation, Installed, install
from infra.services.environment import HOST, library_environment
from infra.services.health import answers
from infra.services.liveness import (
    RECOVERY,
    dead_run_automations,
    overlong_run_automation,
    recovery_automation,
    unbegun_run_automation,
)
from infra.services.password import AUTH_VARIABLE
from infra.services.prefect_api import credentials
from infra.services.records import read_record
from infra.services.rest import PrefectAPI
from infra.services.schedules import install_schedules
from infra.services.slots import DEVICES, install_limit

POOL = "musenet"
CHECKOUT = Path(infra.__file__).parents[1]
DEFINITION = (
    *("entrypoint", "path", "description", "tags", "parameter_openapi_schema", "work_pool_name", "job_variables"),
    *("concurrency_limit", "pull_steps"),
)
"""What of a deployment `prefect.yaml` and the flows' code decide."""
Chain = Callable[[Mapping[str, str]], Sequence[Automation]]
"""Makes automations of the ids of the deployments, by name."""


@dataclass(frozen=True)
class Deployed:
    """What deploying has changed on a server."""

    server: str
    deployments: tuple[str, ...]
    """All that `prefect.yaml` names."""
    changed: tuple[str, ...]
    """Those of them that are new or were different."""
    pool_created: bool
    limits: Mapping[str, bool]
    """True for a limit of what runs at once that is new."""
    schedules: Mapping[str, bool]
    """True for a schedule that is new."""
    automations: Mapping[str, Installed]
    """By name."""

    def lines(self) -> list[str]:
        """Say it in a line each."""
        new = {True: "created", False: "as it was"}
        return [
            f"server       {self.server}",
            f"work pool    {POOL}: {new[self.pool_created]}",
            *(f"deployment   {name}: {'set' if name in self.changed else 'as it was'}" for name in self.deployments),
            *(f"limit        {name}: {new[created]}" for name, created in self.limits.items()),
            *(f"schedule     {name}: {new[created]}" for name, created in self.schedules.items()),
            *(f"automation   {name}: {installed}" for name, installed in self.automations.items()),
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


def deploy(lake: Lake, chain: Chain, switch: bool | None = None) -> Deployed:
    """Put pool, deployments, schedules, limits and automations on the server.

    `chain`: the automations that start deployments. `switch`: True to switch them on, False off; None leaves those
    that are there as they are. Raises UserError, and RunError where the server refuses something.
    """
    if not (CHECKOUT / "prefect.yaml").exists():
        raise UserError(f"{CHECKOUT} has no prefect.yaml: deploy from a checkout of musenet")
    environment = client_environment(lake)
    address = environment["PREFECT_API_URL"]
    server = PrefectAPI(address, environment.get(AUTH_VARIABLE))
    try:
        pool = server.get(f"work_pools/{POOL}")
        if pool_created := pool is None:
            _prefect(environment, "work-pool", "create", POOL, "--type", "process")
        before = _deployments(server)
        _prefect(environment, "deploy", "--all")
        after = _deployments(server)
        limits = {DEVICES: install_limit(server, DEVICES)}
        ids = {each["name"]: each["id"] for each in _of_the_pool(server)}
        schedules = install_schedules(server, ids)
        own = (
            *dead_run_automations(),
            unbegun_run_automation("process" if pool is None else pool["type"]),
            recovery_automation(ids[RECOVERY]),
            overlong_run_automation(),
        )
        automations = {each.name: install(server, each) for each in own}
        for automation in chain(ids):
            automations[automation.name] = install(server, automation, switch)
    except OSError as error:
        raise RunError(f"the Prefect server at {address} refuses: {error}") from error
    changed = tuple(name for name in after if before.get(name) != after[name])
    return Deployed(address, tuple(after), changed, pool_created, limits, schedules, automations)


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
    return {each["name"]: {key: each.get(key) for key in DEFINITION} for each in _of_the_pool(server)}


def _of_the_pool(server: PrefectAPI) -> list[dict[str, Any]]:
    wanted = {"work_pools": {"name": {"any_": [POOL]}}, "sort": "NAME_ASC"}
    found: list[dict[str, Any]] = server.post("deployments/filter", wanted)
    return found


def _prefect(environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise RunError(f"`prefect {' '.join(words)}` failed: {said[-300:]}")
