"""Registration: run, critic, vocabulary and lineage become one version that can be composed with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.criticism.critic_training import CriticTraining
from flows.criticism.parameters import CriticParameters
from flows.progress import stage
from flows.registration.registration import (
    RegisterParameters,
    model_card,
    newest_critic,
    register_run,
    write_bundle,
)
from flows.training.report import build_report
from flows.training.runs import keep_drawing, prepare_run
from infra.errors import UserError
from infra.lake import Lake
from modeling.config import PLAIN, DrawingConfig, load_preset
from modeling.criticism import CriticConfig
from modeling.generation import ModelBundle
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.models import find_model, pull
from registry.store import Registry
from tokenization.dataset import TRAIN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def criticised(studio):
    lake, dataset, run = studio
    small = CriticConfig(window=40, hidden=8, steps=1, batch=2)
    parameters = CriticParameters(train_pieces=8, held_out_pieces=4, critic=small)
    training = CriticTraining(lake, run, dataset, parameters)
    with stage("critic") as bar:
        training.publish(*training.measure(*training.fit(training.generate(bar), bar), bar))
    return studio


def test_a_run_becomes_a_version_with_its_whole_lineage(criticised) -> None:
    lake, dataset, run = criticised
    report = register_run(RegisterParameters(run=run.run_id, alias="champion", lake=lake.root))
    assert (report.version, report.alias, report.run_id) == ("1", "champion", run.run_id)
    assert report.dataset == f"songs@{dataset.digest}"

    registry = Registry.open(lake)
    model = find_model(registry, "champion")
    assert model.tags["run"] == run.run_id
    assert model.tags["preset"] == "tiny"
    mlflow_run = registry.client.get_run(model.run_id)
    assert [(d.dataset.name, d.dataset.digest) for d in mlflow_run.inputs.dataset_inputs] == [("songs", dataset.digest)]
    assert mlflow_run.data.params["model.context"] == "64"
    assert mlflow_run.data.metrics["critic_auc"] == pytest.approx(report.critic_auc)

    card = registry.client.get_model_version("musenet", "1").description
    assert "24 pieces" in card
    assert "styles: bach, jazz" in card
    assert "7.500 per note" in card
    assert "CC0" in card
    assert f"compared with its {dataset.description.pieces[TRAIN]} training pieces" in card

    folder = pull(registry, model)
    assert folder.name == "bundle"
    assert json.loads((folder / "lineage.json").read_text())["digest"] == dataset.digest
    bundle = ModelBundle.load(folder)
    assert bundle.vocabulary.digest == dataset.vocabulary.digest
    assert bundle.model.config.context == 64

    again = register_run(RegisterParameters(run="latest", alias="candidate", lake=lake.root))
    assert again.version == "1", "the same files are one version"
    assert find_model(registry, "1").aliases == ("candidate", "champion")
    assert not list(run.folder.path.glob(".staging-*"))


def test_a_run_without_a_critic_becomes_a_version_without_one(studio, tmp_path: Path) -> None:
    _, dataset, run = studio
    bare = prepare_run(Lake(tmp_path), dataset, load_preset("tiny"), ranks=1)
    assert newest_critic(bare) is None
    (tmp_path / "bundle").mkdir()
    write_bundle(tmp_path / "bundle", run, PLAIN, dataset, None)
    assert ModelBundle.load(tmp_path / "bundle").critic is None
    assert "It has no critic" in model_card(run, PLAIN, dataset, build_report(run, reused=True), None)


def test_a_version_is_drawn_as_its_run_s_preset_or_the_registration_says(studio) -> None:
    lake, _, run = studio
    keep_drawing(replace(run, drawing=DrawingConfig(top_p=0.9)))
    registry = Registry.open(lake)

    def drawing(**changes: object) -> tuple[float, float]:
        parameters = RegisterParameters(run=run.run_id, alias="other", drawing=changes, lake=lake.root)
        files = pull(registry, find_model(registry, register_run(parameters).version))
        found = Composer(files, ModelIdentity.of_files(files)).drawing
        return found.top_p, found.tonality

    try:
        assert drawing() == (0.9, 0.0)
        assert drawing(tonality="0.5") == (0.9, 0.5)
        with pytest.raises(UserError, match="no setting 'tonalty'; nearest: 'tonality'"):
            drawing(tonalty=1)
    finally:
        keep_drawing(run)


@pytest.mark.parametrize("alias", ["", "The Best", "1", "a b"])
def test_an_alias_is_one_plain_word(alias: str) -> None:
    with pytest.raises(ValidationError, match="alias"):
        RegisterParameters(alias=alias)
