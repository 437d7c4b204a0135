"""Critic training: pairs are archived, the head is fitted on the training split and measured on held-out pieces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.criticism.critic_training import CriticParameters, CriticTraining, critic_folder, read_report
from flows.progress import stage
from infra.errors import UserError
from modeling.criticism import CriticConfig, load_critic
from modeling.data import Split

pytestmark = pytest.mark.slow

SMALL = CriticConfig(window=40, hidden=8, epochs=2)


class TestCriticTraining:
    def parameters(self, **changes: object) -> CriticParameters:
        return CriticParameters(**{"train_pieces": 8, "held_out_pieces": 4, "critic": SMALL, **changes})

    def training(self, studio, parameters: CriticParameters) -> CriticTraining:
        lake, dataset, run = studio
        return CriticTraining(lake, run, dataset, parameters)

    def test_archives_fits_measures_and_publishes(self, studio) -> None:
        lake, _, run = studio
        parameters = self.parameters(seed=1)
        training = self.training(studio, parameters)
        with stage("critic") as bar:
            train, held_out = training.generate(bar)
            report = training.fit(train, held_out, bar)
        assert (report.run_id, report.train_pairs, report.held_out_pairs) == (run.run_id, 8, 4)
        assert 0 <= report.auc <= 1
        folder = critic_folder(run, parameters)
        assert sorted(path.name for path in folder.iterdir()) == ["critic.json", "critic.safetensors", "report.json"]
        assert load_critic(folder)[1] == SMALL
        assert read_report(folder).auc == report.auc
        archive = lake.archive / run.run_id / folder.name
        assert sorted(path.name for path in archive.iterdir()) == ["held_out.parquet", "train.parquet"]

        times = {path: path.stat().st_mtime_ns for path in archive.iterdir()}
        with stage("critic") as bar:
            again, _ = self.training(studio, parameters).generate(bar)
        assert {path: path.stat().st_mtime_ns for path in archive.iterdir()} == times, "archived pieces are kept"
        assert [tokens.tolist() for tokens in again.generated] == [tokens.tolist() for tokens in train.generated]

    def test_the_window_is_no_longer_than_the_models_context(self, studio) -> None:
        """The model of these tests has 64 tokens; the default window has 256."""
        parameters = self.parameters(critic=CriticConfig(window=256, hidden=8, epochs=1))
        training = self.training(studio, parameters)
        with stage("critic") as bar:
            training.fit(*training.generate(bar), bar)
        assert load_critic(training.folder)[1].window == 64

    def test_held_out_pieces_are_none_of_the_training_split(self, studio) -> None:
        training = self.training(studio, self.parameters())
        assert not set(training.held_out.piece_ids) & set(training.train.piece_ids)
        assert len(training.held_out.piece_ids) + len(training.train.piece_ids) == 24

    def test_needs_enough_pieces_to_measure_on(self, studio) -> None:
        training = self.training(studio, self.parameters(critic=CriticConfig(window=63)))
        training.held_out = Split([], [], [], training.train.encoding)
        with (
            pytest.raises(UserError, match="the dataset has 0 held-out pieces of more than 63 tokens"),
            stage("x") as bar,
        ):
            training.generate(bar)

    def test_other_settings_are_another_critic(self, studio) -> None:
        run = studio[2]
        folders = {critic_folder(run, self.parameters(seed=seed)) for seed in (0, 1)}
        folders.add(critic_folder(run, self.parameters(train_pieces=9)))
        assert len(folders) == 3
        assert critic_folder(run, self.parameters(run="latest", lake=Path("/x"))) in folders


def test_a_report_of_another_format_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"run_id": "a", "auc": 0.5, "train_twins": 8}))
    with pytest.raises(UserError, match=r"report\.json has format 1, this version of musenet reads format 2"):
        read_report(tmp_path)
