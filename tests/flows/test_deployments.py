"""prefect.yaml: what it deploys are the project's flows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))
def test_a_deployment_is_a_flow_of_that_name(deployment: dict[str, Any]) -> None:
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(f"{ROOT / deployment['entrypoint']}", use_placeholder_flow=False)
    assert flow.name == deployment["name"]
    assert deployment["work_pool"]["name"] == "musenet"
    assert deployment["description"].endswith(".")
    assert "musenet" in deployment["tags"]


def test_every_flow_is_set_to_crashed_that_dies_before_its_first_heartbeat() -> None:
    from infra.services.liveness import FLOWS

    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "flows").rglob("flow.py")]
    assert sorted(FLOWS) == sorted(
        name for source in sources for name in re.findall(r'^@flow\(name="(.+?)"', source, re.M)
    )


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))
def test_no_schedule_runs_until_somebody_switches_it_on(deployment: dict[str, Any]) -> None:
    assert "schedules" not in deployment, "deploying again would set them back"


def test_the_nightly_backup_keeps_a_fortnight(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.backup.parameters import BackupParameters

    (given,) = (each["parameters"]["parameters"] for each in DEPLOYMENTS if each["name"] == "backup")
    monkeypatch.setenv("MUSENET_BACKUPS", "/backups")
    parameters = BackupParameters.model_validate(given)
    assert (parameters.target(), parameters.keep) == (Path("/backups"), 14)


def test_a_form_explains_its_fields_and_offers_the_presets() -> None:
    from flows.training.flow import train
    from modeling.config import preset_names

    form = train.parameters.definitions["TrainParameters"]["properties"]
    assert form["preset"]["anyOf"][0]["enum"] == preset_names()
    assert form["dataset"]["description"] == "`NAME` for its newest version, or `NAME@DIGEST`."
    assert all("description" in field for field in form.values())
