"""Runs whose process was killed: Prefect and MLflow are told, so that they do not stay Running for ever."""

from __future__ import annotations

from flows.progress import warn
from infra.errors import message_of
from infra.lake import Lake
from infra.locks import is_held
from infra.services.liveness import report_dead_runs
from infra.services.registry_address import has_registry
from infra.services.rest import PrefectAPI
from infra.wording import counted
from modeling.training.run_folder import RunFolder


def report_dead(lake: Lake, api: str, password: str | None = None) -> None:
    """Close what killed processes of this machine have left open. What does not answer is left as it is.

    `api`: Prefect's; `password`: None for that of Prefect's variables.
    """
    if report_in_prefect(lake, api, password):
        close_in_registry(lake)


def report_in_prefect(lake: Lake, api: str, password: str | None = None) -> bool:
    """Set the flow runs whose processes were killed to Crashed; return True if there are any. Arguments as for
    `report_dead`."""
    try:
        dead = report_dead_runs(lake, PrefectAPI(api, password))
    except OSError as error:
        warn(f"flow runs that were killed are still shown as running: {message_of(error)}")
        return False
    if crashed := sum(dead.values()):
        warn(f"{counted(crashed, 'flow run')} whose process had been killed: now Crashed")
    return bool(dead)


def close_in_registry(lake: Lake) -> None:
    """Close in MLflow the runs that no process works on: Prefect's workers tell Prefect alone."""
    if not has_registry(lake):
        return
    from registry.errors import RegistryError
    from registry.runs import close_dead_runs
    from registry.store import Registry

    try:
        close_dead_runs(Registry.open(lake), lambda key: _is_dead(lake, key))
    except RegistryError as error:
        warn(f"MLflow: {message_of(error)}; runs that were killed are still shown as running")


def _is_dead(lake: Lake, key: str) -> bool:
    """True for a run of this lake that no process works on: see `RunFolder.lock` and `open_trials`."""
    kind, _, name = key.rpartition(":")
    lock = lake.sweeps / f"{name}.lock" if kind == "sweep" else RunFolder(lake.runs / key).lock
    return lock.exists() and not is_held(lock)
