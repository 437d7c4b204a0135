"""Signs of life of flow runs: one whose process was killed does not stay Running.

On this machine a flow run holds a lock file for as long as its process lives; the next command reports those whose
file nobody holds. Runs on other machines, and runs of a lake that no command comes to, send heartbeats: an automation
of a server that stays reports those that have stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from infra.files import STAGING_PREFIX
from infra.lake import Lake
from infra.services.environment import HEARTBEAT_SECONDS
from infra.services.rest import PrefectAPI
from infra.services.schema import UNFINISHED

SILENT_SECONDS = 4 * HEARTBEAT_SECONDS
"""Time without a heartbeat after which a run counts as dead."""
AUTOMATION = "musenet: flow runs that died"
CRASHED = {"type": "CRASHED", "name": "Crashed"}


@contextlib.contextmanager
def alive(lake: Lake, flow_run_id: str) -> Iterator[None]:
    """Hold the lock file of a flow run for the block."""
    path = _folder(lake) / flow_run_id
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{STAGING_PREFIX}{os.getpid()}-{flow_run_id}")
    with staged.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        staged.rename(path)  # locked before it is there
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def mark_left(lake: Lake, flow_run_ids: Iterable[str]) -> None:
    """Leave the lock files of flow runs that nobody works on, so that `report_dead_runs` finds them."""
    for flow_run_id in flow_run_ids:
        path = _folder(lake) / flow_run_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def report_dead_runs(lake: Lake, prefect: PrefectAPI) -> list[str]:
    """Set the flow runs of this machine whose processes are gone to Crashed, and their tasks; return their ids.

    Raises OSError when the API does not answer.
    """
    dead = [path for path in _files(lake) if _is_free(path)]
    reported = []
    for path in dead:
        run = prefect.get(f"flow_runs/{path.name}")
        if run is not None and run["state_type"] in UNFINISHED:  # not one that waits for another attempt
            _crash(prefect, path.name)
            reported.append(path.name)
        path.unlink(missing_ok=True)
    return reported


def _crash(prefect: PrefectAPI, flow_run_id: str) -> None:
    state = {**CRASHED, "message": "its process was killed, and could not say so"}
    running = {
        "flow_runs": {"id": {"any_": [flow_run_id]}},
        "task_runs": {"state": {"type": {"any_": list(UNFINISHED)}}},
    }
    for task in prefect.post("task_runs/filter", running):
        prefect.post(f"task_runs/{task['id']}/set_state", {"state": state, "force": True})
    prefect.post(f"flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})


def install_automation(prefect: PrefectAPI) -> bool:
    """Have a server report flow runs whose heartbeats have stopped; False if it does so already. Raises OSError."""
    known = prefect.post("automations/filter", {"automations": {"name": {"any_": [AUTOMATION]}}})
    if known:
        return False
    prefect.post("automations/", _automation())
    return True


def _automation() -> dict[str, Any]:
    states = ("Completed", "Failed", "Crashed", "Cancelled", "AwaitingRetry", "Paused", "Suspended")
    heartbeat = "prefect.flow-run.heartbeat"
    return {
        "name": AUTOMATION,
        "description": f"Set flow runs to Crashed that have not been heard of for {SILENT_SECONDS} seconds.",
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "for_each": ["prefect.resource.id"],
            "after": [heartbeat],
            "expect": [heartbeat, *(f"prefect.flow-run.{state}" for state in states)],
            "threshold": 1,
            "within": SILENT_SECONDS,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": CRASHED["type"],
                "name": CRASHED["name"],
                "message": f"no heartbeat for {SILENT_SECONDS} seconds: its process was killed, or its machine is lost",
            }
        ],
    }


def _folder(lake: Lake) -> Path:
    return lake.services / "flow-runs"


def _files(lake: Lake) -> list[Path]:
    folder = _folder(lake)
    files = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    return sorted(files)


def _is_free(path: Path) -> bool:
    """True if no process holds a lock file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # held, or gone meanwhile
        return False
    return True
