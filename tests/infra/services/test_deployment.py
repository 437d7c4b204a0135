"""Deploying, on a server that stays: all flows of prefect.yaml, and nothing the second time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from infra import services
from infra.errors import UserError
from infra.lake import Lake
from infra.services.deployment import CHECKOUT, client_environment, deploy, worker_command
from infra.services.password import read_password


@pytest.fixture(autouse=True)
def no_server_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_server_there_is_nothing_to_deploy_to(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Prefect server runs on this lake; start it with `musenet up`"):
        deploy(Lake(tmp_path))


def test_another_server_is_not_told_the_lake_s_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere.example/api")
    assert "PREFECT_API_AUTH_STRING" not in client_environment(Lake(tmp_path))


def test_the_health_of_a_worker_is_told_to_this_machine_alone() -> None:
    plain, nothing = worker_command()
    command, variables = worker_command(8080)
    assert [*plain, "--with-healthcheck"] == command
    assert variables == {"PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1", "PREFECT_WORKER_WEBSERVER_PORT": "8080"}
    assert nothing == {}


@pytest.mark.slow
def test_all_flows_are_deployed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # so that Prefect's server alone is started
    try:
        services.up(lake)
        assert client_environment(lake)["PREFECT_API_AUTH_STRING"] == read_password(lake)
        first, second = deploy(lake), deploy(lake)
    finally:
        services.down(lake)
    named = {each["name"] for each in yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]}
    assert set(first.deployments) == set(first.changed) == named
    assert (first.pool_created, first.automation_created) == (True, False), "`up` has installed the automation"
    assert (second.deployments, second.changed, second.pool_created) == (first.deployments, (), False)
    assert "PREFECT_API_AUTH_STRING" not in os.environ
