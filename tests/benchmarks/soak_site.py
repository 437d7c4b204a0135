"""A lake with its servers and a worker: flow runs are started there and watched, and processes of all of it killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from flows.chain.settings import chain_settings
from infra import services
from infra.lake import LAKE_VARIABLE, Lake
from infra.processes import end_groups, still_runs
from infra.services.deployment import POOL, client_environment, deploy, worker_command
from infra.services.password import read_password
from infra.services.rest import PrefectAPI
from infra.services.slots import DEVICES, WORKER_VARIABLE

POLL_SECONDS = 0.2
START_SECONDS = 120.0
"""Longest wait for the process of a flow run."""
MANY = 100
"""Slots of each limit, so that one that waits for its lease to run out holds up nothing."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
SERVERS = ("prefect", "mlflow")


class Site:
    """The processes of one lake."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.worker: subprocess.Popen[bytes] | None = None
        self.deployments: dict[str, str] = {}
        """Ids by name."""

    def __enter__(self) -> Site:
        services.up(self.lake)
        try:
            deploy(self.lake, chain_settings(self.lake).automations)
            found = self.api.post("deployments/filter", {"work_pools": {"name": {"any_": [POOL]}}})
            self.deployments = {each["name"]: each["id"] for each in found}
            self.widen(DEVICES)
            self.start_worker()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.worker is not None:
            end_groups([self.worker.pid], 30)
            self.worker.wait()
        services.down(self.lake)

    @property
    def api(self) -> PrefectAPI:
        """The server's API, wherever the server is by now."""
        return PrefectAPI(client_environment(self.lake)["PREFECT_API_URL"], read_password(self.lake))

    def widen(self, limit: str) -> None:
        """Give a limit many slots, where there is one."""
        with contextlib.suppress(OSError):
            self.api.patch(f"v2/concurrency_limits/{limit}", {"limit": MANY})

    def start_worker(self) -> None:
        command, variables = worker_command()
        with (self.lake.services / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                command,
                env={**client_environment(self.lake), **variables, "PREFECT_WORKER_QUERY_SECONDS": "2"},
                cwd=self.lake.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def begin(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Start a flow run; return its id."""
        path = f"deployments/{self.deployments[deployment]}/create_flow_run"
        return str(self.api.post(path, {"parameters": {"parameters": parameters}})["id"])

    def state(self, flow_run: str) -> str:
        """The type of a flow run's state; "" while no server answers."""
        try:
            return str(self.api.get(f"flow_runs/{flow_run}")["state_type"])
        except Exception:  # a server that is gone, and the record of it
            return ""

    def process(self, flow_run: str) -> psutil.Process | None:
        """The process that a flow run has, once it has one; None where it ended before or gets none."""

        def found() -> psutil.Process | None:
            own = [each for each in self.processes() if _environment(each).get(WORKER_VARIABLE) == flow_run]
            return min(own, key=lambda each: each.pid, default=None)

        wait_for(lambda: found() is not None or self.state(flow_run) in ENDED, START_SECONDS)
        return found()

    def victim(self, kind: str, flow: psutil.Process) -> psutil.Process | None:
        """The process of a kind that is to be killed; None where there is none."""
        if kind == "flow":
            return flow
        if kind == "worker":
            return None if self.worker is None else psutil.Process(self.worker.pid)
        if kind in SERVERS:
            pid = next(each.pid for each in services.status(self.lake) if each.name == kind)
            return None if pid is None or not psutil.pid_exists(pid) else psutil.Process(pid)
        wait_for(lambda: bool(_children(flow)) or not still_runs(flow), START_SECONDS)
        children = _children(flow)
        return children[len(children) // 2] if children else None

    def mend(self) -> str:
        """Start again what should run and does not; return what that was."""
        dead = []
        if self.worker is not None and self.worker.poll() is not None:
            dead.append("worker")
        if not all(each.running for each in services.status(self.lake)):
            dead.append("server")
            services.up(self.lake)
        if "worker" in dead:
            self.start_worker()
        return ", ".join(dead)

    def processes(self) -> Iterator[psutil.Process]:
        """Yield all processes of the lake but for its servers and the worker's own."""
        own = {os.getpid(), -1 if self.worker is None else self.worker.pid}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                at_home = Path(process.cwd()) == self.lake.services
                is_other = process.pid not in own and not at_home and still_runs(process)
                if is_other and process.environ().get(LAKE_VARIABLE) == str(self.lake.root):
                    yield process

    def unfinished(self) -> list[str]:
        """Return the names of the flow runs that a worker has taken and that have not ended; [] without an answer."""
        begun = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}}
        with contextlib.suppress(OSError):
            return [f"{run['name']}, {run['state_name']}" for run in self.api.post("flow_runs/filter", begun)]
        return []

    def slots(self) -> dict[str, int]:
        """The slots that are held, by limit."""
        limits = self.api.post("v2/concurrency_limits/filter", {})
        return {each["name"]: each["active_slots"] for each in limits if each["active_slots"]}


def wait_for(happened: Callable[[], bool], seconds: float) -> bool:
    """Wait until something has happened; False if it has not in time."""
    deadline = time.monotonic() + seconds
    while not (done := happened()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return done


def _environment(process: psutil.Process) -> dict[str, str]:
    with contextlib.suppress(psutil.Error):
        return dict(process.environ())
    return {}


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []
