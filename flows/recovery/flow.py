"""The recovery flow, which an automation starts when a run has crashed; commands and `musenet up` do the same."""

from __future__ import annotations

from prefect import flow
from prefect.settings import get_current_settings

from flows.recovery.dead_runs import close_in_registry, report_in_prefect
from flows.recovery.parameters import RecoverParameters
from infra.lake import Lake


@flow(name="recover", persist_result=False)
def recover(parameters: RecoverParameters) -> None:
    """Close what killed processes of this machine have left open in Prefect and MLflow."""
    lake = Lake.at(parameters.lake)
    if api := get_current_settings().api.url:
        report_in_prefect(lake, api)
    close_in_registry(lake)  # also those of a process that ended in order, without MLflow
