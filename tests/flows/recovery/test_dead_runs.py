"""What killed processes have left open, under a real Prefect server and in a real registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.recovery.dead_runs import report_dead
from infra.lake import Lake
from infra.locks import exclusive
from infra.services.liveness import mark_left
from infra.services.rest import PrefectAPI
from modeling.training.run_folder import RunFolder
from registry.runs import begin_run
from registry.store import Registry


@pytest.mark.slow
def test_a_run_in_mlflow_is_closed_that_a_worker_has_told_prefect_alone_of(
    prefect_api: str, make_registry: Callable[[Lake], Registry], tmp_path: Path
) -> None:
    lake, prefect = Lake(tmp_path), PrefectAPI(prefect_api)
    registry = make_registry(lake)
    ids = {key: begin_run(registry, key, key, {}) for key in ("killed", "alive")}
    flow = prefect.post("flows/", {"name": "train"})
    run = prefect.post("flow_runs/", {"flow_id": flow["id"], "state": {"type": "CRASHED", "name": "Crashed"}})
    mark_left(lake, [run["id"]])
    with exclusive(RunFolder(lake.runs / "killed").lock):
        pass
    with exclusive(RunFolder(lake.runs / "alive").lock):
        report_dead(lake, prefect_api)
    status = {key: registry.client.get_run(run_id).info.status for key, run_id in ids.items()}
    assert status == {"killed": "KILLED", "alive": "RUNNING"}
