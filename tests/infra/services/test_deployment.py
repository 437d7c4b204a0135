"""Deploying, on a server that stays: all flows of prefect.yaml, nothing the second time, and no switch is moved.

All tests but one share the first deployment: each starts Prefect's command, which loads all flows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from infra import services
from infra.errors import UserError
from infra.lake import Lake
from infra.services.automations import Automation, install
from infra.services.deployment import CHECKOUT, Deployed, client_environment, deploy, worker_command
from infra.services.liveness import (
    QUEUED_SECONDS,
    RECOVERY,
    UNBEGUN_SECONDS,
    dead_run_automations,
    overlong_run_automation,
    recovery_automation,
    unbegun_run_automation,
)
from infra.services.password import read_password
from infra.services.rest import PrefectAPI
from infra.services.schedules import install_schedules
from infra.services.slots import DEVICES, WORKER_VARIABLE, install_limit, slot


@pytest.fixture(autouse=True)
def no_server_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_server_there_is_nothing_to_deploy_to(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Prefect server runs on this lake; start it with `musenet up`"):
        deploy(Lake(tmp_path), lambda _: [])


def test_another_server_is_not_told_the_lake_s_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere.example/api")
    assert "PREFECT_API_AUTH_STRING" not in client_environment(Lake(tmp_path))


def test_the_health_of_a_worker_is_told_to_this_machine_alone() -> None:
    plain, nothing = worker_command()
    command, variables = worker_command(8080)
    assert [*plain, "--with-healthcheck"] == command
    assert variables == {"PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1", "PREFECT_WORKER_WEBSERVER_PORT": "8080"}
    assert nothing == {}


def follower(deployments: Mapping[str, str], **parameters: object) -> Automation:
    """An automation that trains once something has been published."""
    return Automation(
        name="training follows",
        description="",
        trigger={
            "type": "event",
            "posture": "Reactive",
            "match": {"musenet.reused": "false"},
            "expect": ["musenet.dataset.published", "musenet.dataset.given"],
            "threshold": 1,
            "within": 0,
        },
        action={
            "type": "run-deployment",
            "source": "selected",
            "deployment_id": deployments["train"],
            "parameters": {"parameters": parameters},
        },
        enabled=False,
    )


@dataclass
class Server:
    """A server to which all flows were deployed."""

    lake: Lake
    api: PrefectAPI
    deployed: Deployed
    ids: dict[str, str] = field(default_factory=dict)
    """Of the deployments, by name."""

    @property
    def schedules(self) -> list[dict[str, Any]]:
        """Those of ingestion."""
        return list(self.api.get(f"deployments/{self.ids['ingest']}/schedules"))

    def wait_for_runs(self, deployment: str) -> list[dict[str, Any]]:
        """The flow runs of a deployment, once there are any."""
        deadline = time.monotonic() + 60
        wanted = {"deployments": {"id": {"any_": [self.ids[deployment]]}}}
        while not (runs := self.api.post("flow_runs/filter", wanted)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return list(runs)

    def limit(self, name: str) -> dict[str, Any]:
        """A limit, with the slots that are held."""
        return dict(self.api.get(f"v2/concurrency_limits/{name}"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    lake, ids = Lake(tmp_path_factory.mktemp("lake")), {}

    def chain(deployments: Mapping[str, str]) -> list[Automation]:
        ids.update(deployments)
        return [follower(deployments)]

    with pytest.MonkeyPatch.context() as patch:
        for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
            patch.delenv(name, raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # so that Prefect's server alone is started
        try:
            services.up(lake)
            deployed = deploy(lake, chain)
            api = PrefectAPI(client_environment(lake)["PREFECT_API_URL"], read_password(lake))
            yield Server(lake, api, deployed, ids)
        finally:
            services.down(lake)


@pytest.fixture(scope="module")
def switched(server: Server) -> Server:
    """The server after a person has set some switches."""
    server.api.patch(f"deployments/{server.ids['ingest']}/schedules/{server.schedules[0]['id']}", {"active": True})
    server.api.patch(f"v2/concurrency_limits/{DEVICES}", {"limit": 2})
    return server


@pytest.mark.slow
def test_all_flows_are_deployed_once(server: Server) -> None:
    deployed = server.deployed
    named = {each["name"] for each in yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]}
    assert set(deployed.deployments) == set(deployed.changed) == set(server.ids) == named
    assert deployed.pool_created
    assert "PREFECT_API_AUTH_STRING" not in os.environ
    assert client_environment(server.lake)["PREFECT_API_AUTH_STRING"] == read_password(server.lake)


@pytest.mark.slow
def test_it_says_what_is_new(server: Server) -> None:
    deployed = server.deployed
    assert {name: str(state) for name, state in deployed.automations.items()} == {
        **{each.name: "as it was, on" for each in dead_run_automations()},  # `up` has installed them
        unbegun_run_automation().name: "created, on",
        recovery_automation("").name: "created, on",
        overlong_run_automation().name: "created, off",
        "training follows": "created, off",
    }
    assert set(deployed.limits.values()) == set(deployed.schedules.values()) == {True}
    assert "automation   training follows: created, off" in deployed.lines()


@pytest.mark.parametrize(("pool_type", "seconds"), [("process", UNBEGUN_SECONDS), ("kubernetes", QUEUED_SECONDS)])
def test_a_run_has_more_time_to_begin_where_it_may_be_queued(pool_type: str, seconds: int) -> None:
    found = unbegun_run_automation(pool_type)
    assert found.trigger["within"] == seconds
    assert f"{seconds // 60} minutes" in found.description


@pytest.mark.slow
@pytest.mark.thorough  # waits for the server's next look
def test_a_run_that_never_began_or_died_at_once_is_set_to_crashed(server: Server) -> None:
    """As a worker that ended at once leaves it, and a process killed before the first heartbeat of a flow within its
    flow; ten seconds, the fewest of Prefect, instead of minutes."""
    unbegun, silent = unbegun_run_automation(), dead_run_automations()[1]
    for name, automation in {"unbegun": unbegun, "silent": silent}.items():
        install(server.api, replace(automation, name=name, trigger={**automation.trigger, "within": 10}))
    flow_id = server.api.get(f"deployments/{server.ids['gc']}")["flow_id"]
    pending = server.api.post("flow_runs/", {"flow_id": flow_id, "state": {"type": "PENDING"}})["id"]
    running = server.api.post("flow_runs/", {"flow_id": flow_id, "state": {"type": "RUNNING"}})["id"]
    assert "has not begun" in crash_of(server, pending)
    assert "no heartbeat" in crash_of(server, running)


def crash_of(server: Server, run: str) -> str:
    """The message of the state Crashed, once a flow run is in it."""
    deadline = time.monotonic() + 60
    while (state := server.api.get(f"flow_runs/{run}")["state"])["type"] != "CRASHED":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return str(state["message"])


@pytest.mark.slow
def test_what_a_person_has_set_stays(switched: Server) -> None:
    assert not any(install_schedules(switched.api, switched.ids).values())
    assert not install_limit(switched.api, DEVICES)
    assert_switches_are_set(switched)


@pytest.mark.slow
@pytest.mark.thorough  # the tests around it show it of schedules, limits and automations
def test_a_second_time_changes_nothing(switched: Server) -> None:
    again = deploy(switched.lake, lambda deployments: [follower(deployments)])
    assert not again.pool_created
    assert (again.deployments, again.changed) == (switched.deployed.deployments, ())
    assert set(again.limits.values()) == set(again.schedules.values()) == {False}
    assert all(": as it was" in line for line in again.lines()[1:])
    assert_switches_are_set(switched)


def assert_switches_are_set(server: Server) -> None:
    assert [(each["slug"], each["active"]) for each in server.schedules] == [("nightly", True)]
    assert server.limit(DEVICES)["limit"] == 2


@pytest.mark.slow
def test_an_automation_is_as_the_code_defines_it_and_switched_as_it_was(server: Server) -> None:
    def put(switch: bool | None = None, **parameters: object) -> str:
        return str(install(server.api, follower(server.ids, **parameters), switch))

    count = server.api.post("automations/count", {})
    assert [put(True), put(), put(preset="small"), put(preset="small"), put(), put(False)] == [
        "changed, on",
        "as it was, on",
        "changed, on",
        "as it was, on",
        "changed, on",  # a parameter less
        "changed, off",
    ]
    assert server.api.post("automations/count", {}) == count


@pytest.mark.slow
def test_an_event_starts_a_deployment_with_its_parameters(server: Server) -> None:
    install(server.api, follower(server.ids, dataset="{{ event.payload.dataset }}"), True)
    time.sleep(1)  # the server's triggers learn of it a moment later
    for reused in ("true", "false"):
        event = {
            "id": str(uuid4()),
            "event": "musenet.dataset.published",
            "occurred": datetime.now(UTC).isoformat(),
            "resource": {"prefect.resource.id": "musenet.dataset.songs.ab", "musenet.reused": reused},
            "payload": {"dataset": "songs@ab", "reused": reused},
        }
        server.api.post("events", [event])
    runs = server.wait_for_runs("train")
    assert [run["parameters"] for run in runs] == [{"parameters": {"dataset": "songs@ab"}}]


@pytest.mark.slow
def test_a_training_that_has_crashed_is_followed_by_recovery(server: Server) -> None:
    given = {"promote": {"model": "1"}, "train": {"dataset": "songs@ab"}}  # a promotion has no run in MLflow
    for deployment, parameters in given.items():
        wanted = {"parameters": {"parameters": parameters}}
        run = server.api.post(f"deployments/{server.ids[deployment]}/create_flow_run", wanted)
        crashed = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
        server.api.post(f"flow_runs/{run['id']}/set_state", crashed)
    assert [run["parameters"] for run in server.wait_for_runs(RECOVERY)] == [{"parameters": {}}]


@pytest.mark.slow
def test_a_run_of_a_worker_holds_a_slot(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKER_VARIABLE, "")
    with services.prefect_server(server.lake):
        with slot("musenet.ingestion.songs"):
            held = server.limit("musenet.ingestion.songs")
        free = server.limit("musenet.ingestion.songs")
    assert (held["limit"], held["active_slots"], free["active_slots"]) == (1, 1, 0)


@pytest.mark.slow
def test_a_schedule_makes_runs(server: Server) -> None:
    server.api.post(f"deployments/{server.ids['ingest']}/schedule", {"min_runs": 2})
    ingestions = {"deployments": {"id": {"any_": [server.ids["ingest"]]}}}
    planned = server.api.post("flow_runs/filter", ingestions)
    assert planned
    assert {(run["state_name"], run["expected_start_time"][11:16]) for run in planned} == {("Scheduled", "03:00")}
