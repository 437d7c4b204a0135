"""The evaluation flow: what is measured of a version stays with it, for people and for filters."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.evaluation.flow import evaluate
from flows.evaluation.settings import EvaluateParameters, EvaluationSettings
from flows.registration.registration import RegisterParameters, register_run
from flows.training.runs import Run
from infra.lake import Lake
from registry.cards import card_of
from registry.models import find_model
from registry.store import Registry
from tokenization.dataset import DatasetVersion

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

SMALL = EvaluationSettings(pieces=2, references=0, length=40, least=2, resamples=20, rolls=2, copying=0)


def test_a_version_has_its_figures_in_tags_and_card_and_the_page_in_its_run(
    studio: tuple[Lake, DatasetVersion, Run],
) -> None:
    lake, _, run = studio
    version = register_run(RegisterParameters(run=run.run_id, lake=lake.address)).version
    done = evaluate(EvaluateParameters(source=version, settings=SMALL, lake=lake.address))
    registry = Registry.open(lake)
    model = find_model(registry, version)
    overall = done.report.likelihood
    assert overall is not None
    nats = overall.nats_per_note
    assert model.tags["test_nats_per_note"] == f"{nats.value:.4f}"

    card, figures = card_of(registry, model), f"{nats.value:.3f} [{nats.low:.3f}, {nats.high:.3f}]"
    before, _, behind = card.partition("## Measured\n")
    assert "Trained" in before and "## Use" in behind
    measured = behind.partition("\n## ")[0]
    assert f"| all | {overall.families} | {figures} |" in measured
    assert [line.split(" ")[1] for line in measured.splitlines() if line.startswith("| ")] == [
        *("style", "all", "bach", "jazz")
    ]
    name = f"evaluation/version-{version}.html"
    assert f"`{name}`" in measured
    kept = registry.client.download_artifacts(model.run_id, name)
    assert Path(kept).read_text() == Path(done.page).read_text()
