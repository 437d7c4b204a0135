"""The flow that lists or removes what a lake no longer needs, for a schedule; `musenet gc` does so without a flow."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.lineage import recorded
from flows.progress import stage
from flows.retention.collection import carry_out, plan
from flows.retention.parameters import CollectParameters
from infra.lake import Lake


@dataclass(frozen=True)
class CollectReport:
    """What was removed, or would be."""

    removed: bool
    items: int
    bytes: int


@flow(name="gc", persist_result=False)
def collect(parameters: CollectParameters) -> CollectReport:
    """List what nothing in the lake needs, and remove it where that is asked for. Raises UserError."""
    lake = Lake.at(parameters.lake)
    with recorded("gc", flow_run):
        found = plan(lake, parameters.rules)
        if parameters.remove:
            with stage("removing", len(found.items)) as bar:
                found = carry_out(found, bar.step)
    rows = [{"kind": str(kind), "items": count, "bytes": size} for kind, (count, size) in found.by_kind.items()]
    verb = "removed" if parameters.remove else "would be removed"
    create_table_artifact(key="gc", table=rows, description=f"{found.bytes / 1e6:,.1f} MB {verb}")
    return CollectReport(parameters.remove, len(found.items), found.bytes)
