"""Critic training: generations are archived, the critic is fitted, calibrated and measured on families held out."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from flows.criticism import critic_training
from flows.criticism.aspects import COMPOSED, FAULTS
from flows.criticism.critic_training import CriticTraining, critic_folder
from flows.criticism.parameters import CriticParameters
from flows.criticism.report import read_report
from flows.progress import stage
from infra.errors import UserError
from modeling.archive import ArchiveError, Generation, third_of
from modeling.config import ArchiveConfig, CriticConfig
from modeling.criticism import load_critic, new_critic, save_critic
from modeling.data import load_split
from modeling.network.weights import load_model
from tokenization.encodings import HEADER

pytestmark = pytest.mark.slow

SMALL = CriticConfig(window=40, hidden=8, steps=3, batch=4)


def parameters_of(**changes: object) -> CriticParameters:
    few = {"train_pieces": 8, "held_out_pieces": 12, "critic": SMALL, "archive": ArchiveConfig(batch=4)}
    return CriticParameters(**{**few, **changes})


def trained(studio, parameters: CriticParameters):
    lake, dataset, run = studio
    training = CriticTraining(lake, run, dataset, parameters)
    with stage("critic") as bar:
        critic, windows = training.fit(training.generate(bar), bar)
        calibrated, report = training.measure(critic, windows, bar)
    training.publish(calibrated, report)
    return training, report


def _third(generation: Generation) -> np.int64:
    return third_of(np.int64(generation.start), np.int64(generation.length), SMALL.window)


class TestCriticTraining:
    def test_archives_fits_measures_and_publishes(self, studio) -> None:
        lake, _, run = studio
        parameters = parameters_of(seed=1, rounds=2)
        training, report = trained(studio, parameters)
        assert (report.run_id, report.train_windows, report.rounds) == (run.run_id, 16, 2)
        assert 0 <= report.auc <= 1
        kinds = {"generated", "prefix", "place", "sampler", "damage", "cue", "aspect"}
        assert {each.kind for each in report.figures} == kinds
        assert all(0 <= each.low <= each.auc <= each.high <= 1 for each in report.figures)
        assert report.figure("sampler", "temperature 1e+09, top-p 1").is_learned
        assert not report.figure("sampler", "temperature 0.85, top-p 0.9").is_learned
        folder = critic_folder(run, parameters)
        assert sorted(path.name for path in folder.iterdir()) == ["critic.json", "critic.safetensors", "report.json"]
        critic = load_critic(folder, load_model(run.folder.model))
        assert critic.config == SMALL
        assert critic.aspects.keys() == report.aspect_errors.keys() == {"order", "instruments", "style"}
        for aspect, fault in FAULTS.items():
            assert report.figure("aspect", f"{aspect}: {fault}").windows > 0
            assert report.figure("aspect", f"{aspect}: {COMPOSED}").windows <= len(
                training.generations.archive.read("test")
            )
        assert read_report(folder).auc == report.auc
        archive = lake.archive / run.run_id / folder.name
        assert {"round0.parquet", "round1.parquet", "calibration.parquet", "test.parquet"} <= {
            path.name for path in archive.iterdir()
        }

        test = training.generations.archive.read("test")
        assert Counter(int(_third(each)) for each in test) == {0: 2, 1: 2, 2: 2}
        assert [each.windows for each in report.figures if each.kind == "place"] == [2, 2, 2]
        assert len({each.family for each in test}) > 2
        whole = [each for each in test if each.prompt == HEADER + each.start and len(each.tokens) == each.start + 40]
        assert report.figure("prefix", f"{40 - HEADER} tokens").windows == len(whole) > 0

        times = {path: path.stat().st_mtime_ns for path in archive.iterdir()}
        with stage("critic") as bar:
            again = training.generate(bar)
        assert {path: path.stat().st_mtime_ns for path in archive.iterdir()} == times, "archived pieces are kept"
        assert len(again) == 8

    def test_calibration_and_measuring_have_families_of_their_own(self, studio) -> None:
        lake, dataset, run = studio
        training = CriticTraining(lake, run, dataset, parameters_of())
        parts = [
            {training.families[piece_id] for piece_id in split.piece_ids}
            for split in (training.learned, training.calibration, training.test)
        ]
        assert all(parts)
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])

    def test_what_the_network_has_not_read_is_learned_from_where_there_is_enough(
        self, studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake, dataset, run = studio
        ids = {split: set(load_split(dataset.path, split).piece_ids) for split in ("train", "validation", "test")}
        few = CriticTraining(lake, run, dataset, parameters_of())
        assert set(few.learned.piece_ids) == ids["train"]
        assert {*few.calibration.piece_ids, *few.test.piece_ids} <= ids["validation"] | ids["test"]
        monkeypatch.setattr(critic_training, "ENOUGH_UNREAD", 1)
        monkeypatch.setattr(critic_training, "MIN_PIECES", 1)
        enough = CriticTraining(lake, run, dataset, parameters_of())
        assert set(enough.learned.piece_ids) == ids["validation"]
        assert {*enough.calibration.piece_ids, *enough.test.piece_ids} <= ids["test"]

    def test_the_window_is_no_longer_than_the_models_context(self, studio) -> None:
        """The model of these tests has 64 tokens."""
        lake, dataset, run = studio
        long = SMALL.model_copy(update={"window": 256})
        assert CriticTraining(lake, run, dataset, parameters_of(critic=long)).config.window == 64

    def test_too_few_pieces_are_said_so(self, studio, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if the critic needed more pieces than the dataset of these tests has."""
        lake, dataset, run = studio
        monkeypatch.setattr(critic_training, "MIN_PIECES", 1000)
        with pytest.raises(
            UserError, match=r"training pieces of more than \d+ tokens; the critic needs 1000: .*window"
        ):
            CriticTraining(lake, run, dataset, parameters_of())

    def test_an_archive_of_another_run_is_refused(self, studio) -> None:
        lake, dataset, run = studio
        parameters = parameters_of(seed=3)
        training = CriticTraining(lake, run, dataset, parameters)
        with stage("critic") as bar:
            made = training.generate(bar)
            other = replace(training.generations.archive, run_id="ffffffffffff")
            other.write("round0", made)
            with pytest.raises(ArchiveError, match=f"of run ffffffffffff, not of {run.run_id}"):
                training.generate(bar)

    def test_other_settings_are_another_critic(self, studio) -> None:
        run = studio[2]
        folders = {critic_folder(run, parameters_of(seed=seed)) for seed in (0, 1)}
        folders.add(critic_folder(run, parameters_of(train_pieces=9)))
        assert len(folders) == 3
        assert critic_folder(run, parameters_of(run="latest", lake=Path("/x"))) in folders


def test_a_frozen_critic_has_no_trunk_of_its_own(studio) -> None:
    frozen = SMALL.model_copy(update={"trunk": "frozen", "steps": 2})
    training, _ = trained(studio, parameters_of(critic=frozen))
    model = load_model(studio[2].folder.model)
    assert load_critic(training.folder, model).trunk is model
    assert np.isfinite(load_critic(training.folder, model).calibration.high)


def test_a_child_s_critic_begins_with_that_of_its_parent(studio) -> None:
    run = studio[2]
    still = SMALL.model_copy(update={"trunk": "frozen", "steps": 1, "learning_rate": 1e-9})
    parent = new_critic(load_model(run.folder.model), still, seed=7)
    save_critic(parent, run.folder.parent, is_tuned=False)

    def first_weights(**changes: object) -> torch.Tensor:
        training, report = trained(studio, parameters_of(critic=still, seed=5, **changes))
        assert report.began_with == changes.get("start", "parent")
        return load_critic(training.folder, training.model).head.up_proj.weight

    torch.testing.assert_close(first_weights(), parent.head.up_proj.weight)
    assert not torch.allclose(first_weights(start="new"), parent.head.up_proj.weight)
    shutil.rmtree(run.folder.parent)


def test_a_run_and_a_model_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="run = 0123 and model = champion exclude each other"):
        CriticParameters(run="0123", model="champion")
