"""The archive: each generation is the twin of a real piece, and comes back with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.criticism.archive import choose_pieces, generate_twins, keep, recall
from flows.criticism.critic_training import CriticParameters, Round, critic_folder, read_report
from flows.progress import stage
from infra.errors import UserError
from modeling.data.batches import Split, load_split
from modeling.network.critic import CriticConfig
from modeling.network.transformer import MuseNet
from modeling.network.weights import load_critic, load_model
from tokenization.dataset.shards import ShardError, Stamp
from tokenization.encodings import HEADER

SMALL = CriticConfig(window=40, hidden=8, epochs=2)


@pytest.fixture
def split(studio) -> Split:
    return load_split(studio[1].folder, "train")


@pytest.fixture
def model(studio) -> MuseNet:
    return load_model(studio[2].folder.model)


class TestChoosing:
    def test_only_pieces_that_are_long_enough(self, split: Split) -> None:
        least = int(np.median(split.sizes))
        chosen = choose_pieces(split, 100, least, seed=0)
        assert chosen == [index for index, size in enumerate(split.sizes) if size > least]

    def test_is_drawn_by_seed(self, split: Split) -> None:
        assert len(choose_pieces(split, 5, 0, seed=1)) == 5
        assert choose_pieces(split, 5, 0, seed=1) == choose_pieces(split, 5, 0, seed=1)
        draws = {tuple(choose_pieces(split, 5, 0, seed=seed)) for seed in range(5)}
        assert len(draws) > 1

    def test_nothing_is_long_enough(self, split: Split) -> None:
        assert choose_pieces(split, 5, 100_000, seed=0) == []


class TestTwins:
    def test_have_their_pieces_header_and_no_more_than_the_window(self, split: Split, model: MuseNet) -> None:
        done: list[int] = []
        twins = generate_twins(model, split, [0, 2, 3], 40, 0, done.append)
        assert sum(done) == len(twins) == 3
        for index, twin in zip([0, 2, 3], twins):
            assert twin[:HEADER].tolist() == split.pieces[index][:HEADER].tolist()
            assert HEADER < len(twin) <= 40

    def test_come_back_from_the_archive_with_their_pieces(self, studio, split: Split, model: MuseNet, tmp_path) -> None:
        stamp = Stamp.of(studio[1].encoding)
        twins = generate_twins(model, split, [3, 1], 40, 0, lambda _: None)
        keep(tmp_path / "archive" / "train.parquet", split, [3, 1], twins, stamp)
        found = recall(tmp_path / "archive" / "train.parquet", split, stamp)
        assert [tokens.tolist() for tokens in found.generated] == [tokens.tolist() for tokens in twins]
        assert [tokens.tolist() for tokens in found.real] == [split.pieces[3].tolist(), split.pieces[1].tolist()]
        assert found.lengths == [len(split.pieces[3]), len(split.pieces[1])]
        assert [path.name for path in (tmp_path / "archive").iterdir()] == ["train.parquet"]

    def test_of_another_vocabulary_are_refused(self, split: Split, tmp_path: Path) -> None:
        keep(
            tmp_path / "a.parquet",
            split,
            [0],
            [split.pieces[0]],
            replace(Stamp.of(split.encoding), vocabulary="a" * 64),
        )
        with pytest.raises(ShardError, match="its ids mean something else"):
            recall(tmp_path / "a.parquet", split, Stamp.of(split.encoding))


class TestARound:
    def parameters(self, **changes: object) -> CriticParameters:
        return CriticParameters(**{"train_pieces": 8, "held_out_pieces": 4, "critic": SMALL, **changes})

    def round(self, studio, parameters: CriticParameters) -> Round:
        lake, dataset, run = studio
        return Round(lake, run, dataset, parameters)

    def test_archives_learns_measures_and_publishes(self, studio) -> None:
        lake, _, run = studio
        parameters = self.parameters(seed=1)
        one_round = self.round(studio, parameters)
        with stage("critic") as bar:
            train, held_out = one_round.generate(bar)
            report = one_round.learn(train, held_out, bar)
        assert (report.run_id, report.train_twins, report.held_out_twins) == (run.run_id, 8, 4)
        assert 0 <= report.auc <= 1
        folder = critic_folder(run, parameters)
        assert sorted(path.name for path in folder.iterdir()) == ["critic.json", "critic.safetensors", "report.json"]
        assert load_critic(folder)[1] == SMALL
        assert read_report(folder).auc == report.auc
        archive = lake.archive / run.run_id / folder.name
        assert sorted(path.name for path in archive.iterdir()) == ["held_out.parquet", "train.parquet"]

        times = {path: path.stat().st_mtime_ns for path in archive.iterdir()}
        with stage("critic") as bar:
            again, _ = self.round(studio, parameters).generate(bar)
        assert {path: path.stat().st_mtime_ns for path in archive.iterdir()} == times, "archived twins are kept"
        assert [tokens.tolist() for tokens in again.generated] == [tokens.tolist() for tokens in train.generated]

    def test_hears_no_more_than_the_models_context(self, studio) -> None:
        """The model of these tests has 64 tokens; the default window has 256."""
        parameters = self.parameters(critic=CriticConfig(window=256, hidden=8, epochs=1))
        one_round = self.round(studio, parameters)
        with stage("critic") as bar:
            one_round.learn(*one_round.generate(bar), bar)
        assert load_critic(one_round.folder)[1].window == 64

    def test_held_out_pieces_are_none_of_the_training_split(self, studio) -> None:
        one_round = self.round(studio, self.parameters())
        assert not set(one_round.held_out.piece_ids) & set(one_round.train.piece_ids)
        assert len(one_round.held_out.piece_ids) + len(one_round.train.piece_ids) == 24

    def test_needs_enough_pieces_to_measure_on(self, studio) -> None:
        one_round = self.round(studio, self.parameters(critic=CriticConfig(window=63)))
        one_round.held_out = Split([], [], [], one_round.train.encoding)
        with (
            pytest.raises(UserError, match="the dataset has 0 held-out pieces of more than 63 tokens"),
            stage("x") as bar,
        ):
            one_round.generate(bar)

    def test_other_settings_are_another_critic(self, studio) -> None:
        run = studio[2]
        folders = {critic_folder(run, self.parameters(seed=seed)) for seed in (0, 1)}
        folders.add(critic_folder(run, self.parameters(train_pieces=9)))
        assert len(folders) == 3
        assert critic_folder(run, self.parameters(run="latest", lake=Path("/x"))) in folders
