"""The chain on a real server with a real worker: a file is dropped into a folder, and a new candidate comes of it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.chain.settings import CHAIN_FILE, chain_settings
from flows.chain.stages import NAME
from infra import services
from infra.lake import Lake
from infra.processes import end_groups
from infra.services.deployment import POOL, client_environment, deploy, worker_command
from infra.services.flow_run import PAGE_TAG, RUN_TAG
from infra.services.password import read_password
from infra.services.rest import PrefectAPI
from registry.models import CANDIDATE, find_model
from registry.runs import find_run
from registry.store import Registry
from tokenization.dataset import find_version

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(1500)]

SETTINGS = """
datasets = ["songs"]

[train]
preset = "tiny"

[train.settings]
"model.layers" = 1
"model.heads" = 2
"model.d_model" = 16
"model.context" = 64
"training.steps" = 2
"training.batch_size" = 2
"training.micro_batch_size" = 2

[critic]
train_pieces = 8
held_out_pieces = 4
critic = { window = 40, hidden = 8, steps = 1, batch = 2 }
"""
LONGEST_SECONDS = 1200.0
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture
def lake(songs_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake with the dataset `songs`, its servers, and a worker."""
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    lake = Lake(tmp_path / "lake")
    shutil.copytree(songs_lake.root, lake.root)
    (lake.root / CHAIN_FILE).write_text(SETTINGS)
    try:
        services.up(lake)
        deploy(lake, chain_settings(lake).automations, True)
        command, variables = worker_command()
        worker = subprocess.Popen(
            command,
            env={**client_environment(lake), **variables, "PREFECT_WORKER_QUERY_SECONDS": "2"},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield lake
        finally:
            end_groups([worker.pid], 30)
            worker.wait()
    finally:
        services.down(lake)


def runs_of(server: PrefectAPI) -> dict[str, dict[str, Any]]:
    """The flow runs of deployments so far, by deployment; no deployment may have two."""
    pool = {"work_pools": {"name": {"any_": [POOL]}}}
    names = {each["id"]: each["name"] for each in server.post("deployments/filter", pool)}
    runs = server.post("flow_runs/filter", {**pool, "sort": "START_TIME_ASC"})
    assert len({run["deployment_id"] for run in runs}) == len(runs)
    return {names[run["deployment_id"]]: run for run in runs}


def wait_for(server: PrefectAPI, last: str) -> dict[str, dict[str, Any]]:
    """The flow runs once that of a deployment has ended, or any has not completed."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        runs = runs_of(server)
        ended = {name: run["state_type"] for name, run in runs.items() if run["state_type"] in ENDED}
        if last in ended or set(ended.values()) - {"COMPLETED"}:
            return runs
        time.sleep(2)
    pytest.fail(f"no run of {last} has ended: {runs}")


def test_a_dropped_file_ends_as_a_candidate_and_what_is_switched_off_is_not_followed(
    lake: Lake, songs_folder: Path, song: Callable[[int], bytes], tmp_path: Path
) -> None:
    server = PrefectAPI(client_environment(lake)["PREFECT_API_URL"], read_password(lake))
    (evaluates,) = server.post("automations/filter", {"automations": {"name": {"any_": [NAME.format("evaluate")]}}})
    server.patch(f"automations/{evaluates['id']}", {"enabled": False})  # as a person does on Prefect's page

    folder, before = tmp_path / "songs", find_version(lake, "songs")
    shutil.copytree(songs_folder, folder)
    (folder / "bach" / "dropped.mid").write_bytes(song(99))
    deployment = server.get("deployments/name/ingest/ingest")
    parameters = {
        "collections": [{"name": "songs", "location": str(folder), "licence": "CC0"}],
        "name": "songs",
        "splits": {"validation": 0.3, "test": 0.2},
        "workers": 1,
    }
    server.post(f"deployments/{deployment['id']}/create_flow_run", {"parameters": {"parameters": parameters}})

    runs = wait_for(server, "register")
    states = {name: (run["state_type"], run["state"]["message"]) for name, run in runs.items()}
    assert [*states] == ["ingest", "train", "critic", "register"], states
    assert {state for state, _ in states.values()} == {"COMPLETED"}, states

    after = find_version(lake, "songs")
    assert after.digest != before.digest
    registry = Registry.open(lake)
    candidate = find_model(registry, CANDIDATE)
    assert candidate.dataset == f"songs@{after.digest}"
    assert candidate.tags["critic"] == "true"
    trained = candidate.tags["run"]
    assert runs["train"]["parameters"]["parameters"]["dataset"] == candidate.dataset
    assert runs["register"]["parameters"]["parameters"]["run"] == trained

    # The flow run leads to the run in MLflow, and back.
    run_id = find_run(registry, trained)
    assert run_id is not None
    tags = registry.client.get_run(run_id).data.tags
    assert tags[RUN_TAG] == runs["train"]["id"]
    assert tags[PAGE_TAG].endswith(f"/runs/flow-run/{runs['train']['id']}")
    links = server.post(
        "artifacts/filter",
        {"artifacts": {"key": {"any_": ["mlflow-run"]}, "flow_run_id": {"any_": [runs["train"]["id"]]}}},
    )
    assert [f"/runs/{run_id})" in link["data"] for link in links] == [True]

    # Registration has been told, and nothing more has come of it.
    (told,) = server.post("events/filter", {"filter": {"event": {"name": ["musenet.model.registered"]}}})["events"]
    assert told["resource"]["prefect.resource.id"] == f"musenet.model.{candidate.version}"
    time.sleep(5)
    assert [*runs_of(server)] == ["ingest", "train", "critic", "register"]
