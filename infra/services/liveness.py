"""Signs of life of flow runs: one whose process was killed does not stay Running.

On this machine a flow run holds a lock file for as long as its process lives; the next command reports those whose
file nobody holds. Runs on other machines, and runs of a lake that no command comes to, send heartbeats: an automation
of a server that stays reports those that have stopped. Another one can cancel runs that hang.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.files import STAGING_PREFIX
from infra.lake import Lake
from infra.services.automations import Automation, at_each, starting, unless_followed
from infra.services.environment import HEARTBEAT_SECONDS
from infra.services.rest import PrefectAPI
from infra.services.schema import UNFINISHED

SILENT_SECONDS = 4 * HEARTBEAT_SECONDS
"""Time without a heartbeat after which a run counts as dead."""
UNBEGUN_SECONDS, QUEUED_SECONDS = 180, 600
"""Time after which a flow run that a worker has taken, and that has not begun, counts as dead: of a pool whose workers
start processes, and of others, where images are pulled and jobs are queued in it."""
LONGEST_HOURS = 24
"""Time after which a run may be cancelled that nobody watches."""
LIMITED = ("ingest", "critic", "register", "evaluate", "promote", "prepare-samples", "gc")
"""The flows that this is said of; training has limits of its own."""
TRACKED = ("train", "sweep", "demo", "starter")
"""The flows that have runs in MLflow, which are to be closed with them."""
RECOVERY = "recover"
"""The deployment that does so."""
FLOWS = (*LIMITED, *TRACKED, RECOVERY, "backup", "sample", "sample-again", "sample-table")
"""All flows of the project; of others on the server nobody knows whether they send heartbeats."""
ANY_FLOW_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
HEARTBEAT = "prefect.flow-run.heartbeat"
RUNNING, RETRYING = "prefect.flow-run.Running", "prefect.flow-run.Retrying"
ENDED = tuple(
    f"prefect.flow-run.{state}"
    for state in ("Completed", "Failed", "Crashed", "Cancelled", "AwaitingRetry", "Paused", "Suspended")
)
"""Events of a run that does not go on by itself."""
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


def report_dead_runs(lake: Lake, prefect: PrefectAPI) -> dict[str, bool]:
    """Set the flow runs of this machine whose processes were killed to Crashed, and their tasks.

    Returns the ids of all that are found, and whether they were still shown as unfinished: of some a worker has said
    it before. Raises OSError when the API does not answer.
    """
    dead = [path for path in _files(lake) if _is_free(path)]
    found = {}
    for path in dead:
        run = prefect.get(f"flow_runs/{path.name}")
        # Not one that waits for another attempt
        found[path.name] = run is not None and run["state_type"] in UNFINISHED
        if found[path.name]:
            _crash(prefect, path.name)
        path.unlink(missing_ok=True)
    return found


def _crash(prefect: PrefectAPI, flow_run_id: str) -> None:
    state = {**CRASHED, "message": "its process was killed, and could not say so"}
    running = {
        "flow_runs": {"id": {"any_": [flow_run_id]}},
        "task_runs": {"state": {"type": {"any_": list(UNFINISHED)}}},
    }
    for task in prefect.post("task_runs/filter", running):
        prefect.post(f"task_runs/{task['id']}/set_state", {"state": state, "force": True})
    prefect.post(f"flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})


def dead_run_automations() -> tuple[Automation, Automation]:
    """Return the automations by which a server reports flow runs that are not heard of: whose heartbeats have stopped,
    and whose processes were killed before the first."""
    action = _crashing(f"no heartbeat for {SILENT_SECONDS} seconds: its process was killed, or its machine is lost")
    heard = (HEARTBEAT, *ENDED)
    stopped = Automation(
        name="musenet: flow runs that died",
        description=f"Set flow runs to Crashed that have not been heard of for {SILENT_SECONDS} seconds.",
        trigger=unless_followed([HEARTBEAT], heard, SILENT_SECONDS, ANY_FLOW_RUN),
        action=action,
        enabled=True,
    )
    silent = Automation(
        name="musenet: flow runs that died at once",
        description=f"Set runs of musenet's flows to Crashed that are not heard of {SILENT_SECONDS} seconds after "
        "they began.",
        trigger=unless_followed([RUNNING, RETRYING], heard, SILENT_SECONDS, ANY_FLOW_RUN, _of_flows(FLOWS)),
        action=action,
        enabled=True,
    )
    return stopped, silent


def unbegun_run_automation(pool_type: str = "process") -> Automation:
    """Return the automation by which a server reports flow runs whose worker ended before they began."""
    seconds = UNBEGUN_SECONDS if pool_type == "process" else QUEUED_SECONDS
    return Automation(
        name="musenet: flow runs that never began",
        description=f"Set flow runs to Crashed that have been Pending for {seconds // 60} minutes.",
        trigger=unless_followed(["prefect.flow-run.Pending"], [RUNNING, *ENDED], seconds, ANY_FLOW_RUN),
        action=_crashing(f"a worker took it {seconds // 60} minutes ago, and it has not begun: start it again"),
        enabled=True,
    )


def recovery_automation(deployment_id: str) -> Automation:
    """Return the automation by which runs in MLflow are closed whose flow run has crashed."""
    return Automation(
        name="musenet: MLflow runs of flow runs that died",
        description=f"Start {RECOVERY} when one of {', '.join(TRACKED)} has crashed: its run in MLflow is closed.",
        trigger=at_each("prefect.flow-run.Crashed", ANY_FLOW_RUN, _of_flows(TRACKED)),
        action=starting(deployment_id, {}),
        enabled=True,
    )


def overlong_run_automation() -> Automation:
    """Return the automation by which a server cancels flow runs that take longer than a day; off at first."""
    return Automation(
        name="musenet: flow runs that take a day",
        description=f"Cancel {', '.join(LIMITED)} after {LONGEST_HOURS} hours; what they have finished is kept.",
        trigger=unless_followed([RUNNING], ENDED, LONGEST_HOURS * 3600, ANY_FLOW_RUN, _of_flows(LIMITED)),
        action={"type": "cancel-flow-run"},
        enabled=False,
    )


def _crashing(message: str) -> dict[str, str]:
    """Return the action that sets a flow run to Crashed."""
    return {"type": "change-flow-run-state", "state": CRASHED["type"], "name": CRASHED["name"], "message": message}


def _of_flows(names: Iterable[str]) -> dict[str, object]:
    return {"prefect.resource.role": "flow", "prefect.resource.name": list(names)}


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
