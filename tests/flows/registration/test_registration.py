"""Registration: run, critic, vocabulary and lineage become one version that can be composed with."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.criticism.critic_training import CriticTraining
from flows.criticism.parameters import CriticParameters
from flows.progress import stage
from flows.registration.card import model_card
from flows.registration.registration import RegisterParameters, choose_run, newest_critic, register_run, write_bundle
from flows.training.history import read_history
from flows.training.report import build_report
from flows.training.runs import Run, find_run, keep_drawing, prepare_run, write_run
from infra.digests import file_sha256
from infra.errors import UserError
from infra.lake import Lake
from modeling.config import PLAIN, DrawingConfig, load_preset, with_settings
from modeling.criticism import CriticConfig
from modeling.generation import ModelBundle
from modeling.training.events import Finished, append_event
from modeling.training.run_folder import RunFolder
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.models import find_model
from registry.pulling import pull
from registry.store import Registry
from tokenization.dataset import TRAIN, find_version
from tokenization.identities import Identities

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Copied:
    """A lake with a registered run, and its copy, in which a critic was trained and the run registered again."""

    original: Lake
    before: dict[str, str]
    """Digests of the original's files as it was copied."""
    lake: Lake
    run: Run


def digests(lake: Lake) -> dict[str, str]:
    return {str(path): file_sha256(path) for path in lake.root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def copied(studio, tmp_path_factory: pytest.TempPathFactory) -> Copied:
    original, _, run = studio
    register_run(RegisterParameters(run=run.run_id, alias="bare", lake=original.root))
    lake = Lake(tmp_path_factory.mktemp("copy") / "lake")
    shutil.copytree(original.root, lake.root)
    before = digests(original)
    own = find_run(lake, run.run_id)
    small = CriticConfig(window=40, hidden=8, steps=1, batch=2)
    parameters = CriticParameters(train_pieces=8, held_out_pieces=4, critic=small)
    training = CriticTraining(lake, own, find_version(lake, own.dataset), parameters)
    with stage("critic") as bar:
        training.publish(*training.measure(*training.fit(training.generate(bar), bar), bar))
    return Copied(original, before, lake, own)


def test_a_run_becomes_a_version_with_its_whole_lineage(copied: Copied) -> None:
    lake, run = copied.lake, copied.run
    dataset = find_version(lake, run.dataset)
    report = register_run(RegisterParameters(run=run.run_id, alias="champion", lake=lake.root))
    assert (report.version, report.alias, report.run_id) == ("2", "champion", run.run_id)
    assert report.dataset == f"songs@{dataset.digest}"

    registry = Registry.open(lake)
    model = find_model(registry, "champion")
    assert model.tags["run"] == run.run_id
    assert model.tags["preset"] == "tiny"
    assert model.tags["nats_per_note"] == "7.5000"
    assert "critic_auc" not in model.tags, "where a higher figure means worse samples"
    mlflow_run = registry.client.get_run(model.run_id)
    assert [(d.dataset.name, d.dataset.digest) for d in mlflow_run.inputs.dataset_inputs] == [("songs", dataset.digest)]
    assert mlflow_run.data.params["model.context"] == "64"
    assert int(mlflow_run.data.params["model.vocabulary_size"]) == dataset.vocabulary.size
    assert mlflow_run.data.metrics["critic_auc"] == pytest.approx(report.critic_auc)
    assert len(mlflow_run.outputs.model_outputs) == 2, "one without the critic, one with it"

    card = registry.client.get_model_version("musenet", "2").description
    assert "24 pieces" in card
    assert re.search(r"by musenet [\d.]+, commit `[0-9a-f]{40}`", card)
    assert "styles: bach, jazz" in card
    assert "7.500 nats per note" in card
    assert re.search(r"\| songs \| CC0[\w.-]* \| 24 \|", card)
    assert "The AUC is of the critic: 0.5 is chance" in card
    assert re.search(r"AUCs of its aspects, .*: order: bars shuffled \d\.\d\d", card)
    assert f"compared with its {dataset.description.pieces[TRAIN]} training pieces" in card

    folder = pull(registry, model)
    assert folder.name == "bundle"
    assert json.loads((folder / "lineage.json").read_text())["digest"] == dataset.digest
    bundle = ModelBundle.load(folder)
    assert bundle.vocabulary.digest == dataset.vocabulary.digest
    assert bundle.model.config.context == 64

    again = register_run(RegisterParameters(run="latest", alias="candidate", lake=lake.root))
    assert again.version == "2", "the same files are one version"
    assert find_model(registry, "2").aliases == ("candidate", "champion")
    assert len(registry.client.get_metric_history(model.run_id, "critic_auc")) == 1
    assert not list(run.folder.path.glob(".staging-*"))


def test_a_worse_run_does_not_become_champion_unless_it_is_forced_to(copied: Copied) -> None:
    lake, run = copied.lake, copied.run
    dataset = find_version(lake, run.dataset)
    worse = prepare_run(lake, dataset, with_settings(load_preset("tiny"), {"training.seed": 9}), 1)
    append_event(worse.folder.metrics, read_history(run.folder.metrics).start)
    loss = Finished(step=1, best_step=1, seconds=1.0, nats_per_token=4.0, nats_per_note=9.0)
    append_event(worse.folder.metrics, loss)
    shutil.copytree(run.folder.model, worse.folder.model)
    os.utime(worse.folder.config, (0, 0))

    refused = register_run(RegisterParameters(run=worse.run_id, alias="champion", lake=lake.root))
    assert refused.alias == "candidate"
    assert "nats_per_note: not passed, 9.0000 beside 7.5000 (at most 7.5000)" in (refused.refused or "")
    forced = register_run(RegisterParameters(run=worse.run_id, alias="champion", force=True, lake=lake.root))
    assert (forced.version, forced.alias, forced.refused) == (refused.version, "champion", None)


def test_nothing_of_a_copied_lake_s_work_is_in_the_original(copied: Copied) -> None:
    register_run(RegisterParameters(run="best", alias="here", lake=copied.lake.root))
    assert digests(copied.original) == copied.before
    model = find_model(Registry.open(copied.lake), "here")
    assert pull(Registry.open(copied.lake), model).is_relative_to(copied.lake.root)


def test_the_best_run_has_the_lowest_loss_on_the_newest_one_s_dataset(studio, tmp_path: Path) -> None:
    _, dataset, run = studio
    worse = replace(run, folder=RunFolder(tmp_path / "lake" / "runs" / run.run_id))
    shutil.copytree(run.folder.path, worse.folder.path)
    write_run(worse)
    better = prepare_run(Lake(tmp_path / "lake"), dataset, with_settings(load_preset("tiny"), {"training.seed": 5}), 1)
    append_event(better.folder.metrics, read_history(run.folder.metrics).start)
    loss = Finished(step=4, best_step=4, seconds=1.0, nats_per_token=2.0, nats_per_note=6.0)
    append_event(better.folder.metrics, loss)
    shutil.copytree(run.folder.model, better.folder.model)
    os.utime(better.folder.config, (0, 0))
    assert choose_run(Lake(tmp_path / "lake"), "latest").run_id == run.run_id
    assert choose_run(Lake(tmp_path / "lake"), "best").run_id == better.run_id


def test_a_run_without_a_critic_becomes_a_version_without_one(studio, tmp_path: Path) -> None:
    _, dataset, run = studio
    bare = prepare_run(Lake(tmp_path), dataset, load_preset("tiny"), ranks=1)
    assert newest_critic(bare) is None
    (tmp_path / "bundle").mkdir()
    write_bundle(tmp_path / "bundle", run, PLAIN, dataset, None)
    assert ModelBundle.load(tmp_path / "bundle").critic is None
    assert "It has no critic" in model_card(
        run, PLAIN, dataset, build_report(run, reused=True), None, Identities.unknown(), "musenet 0.1.0"
    )


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


@pytest.mark.parametrize("alias", ["", "The Best", "1", "a b", "latest", "v1"])
def test_an_alias_is_one_plain_word_that_mlflow_does_not_reserve(alias: str) -> None:
    with pytest.raises(ValidationError, match="alias"):
        RegisterParameters(run="best", alias=alias)
