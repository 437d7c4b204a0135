"""The archive: each generation has a real piece's header, and comes back with that piece."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.criticism.archive import choose_pieces, generate_counterparts, read_pairs, write_pairs
from modeling.data import Split, load_split
from modeling.network.transformer import MuseNet
from modeling.network.weights import load_model
from tokenization.dataset.shards import ShardError, TokenFormat
from tokenization.encodings import HEADER


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


class TestCounterparts:
    def test_have_their_piece_s_header_and_no_more_than_the_window(self, split: Split, model: MuseNet) -> None:
        done: list[int] = []
        generated = generate_counterparts(model, split, [0, 2, 3], 40, 0, done.append)
        assert sum(done) == len(generated) == 3
        for index, tokens in zip([0, 2, 3], generated):
            assert tokens[:HEADER].tolist() == split.pieces[index][:HEADER].tolist()
            assert HEADER < len(tokens) <= 40

    def test_come_back_from_the_archive_with_their_pieces(self, studio, split: Split, model: MuseNet, tmp_path) -> None:
        stamp = TokenFormat.of(studio[1].encoding)
        generated = generate_counterparts(model, split, [3, 1], 40, 0, lambda _: None)
        write_pairs(tmp_path / "archive" / "train.parquet", split, [3, 1], generated, stamp)
        found = read_pairs(tmp_path / "archive" / "train.parquet", split, stamp)
        assert [tokens.tolist() for tokens in found.generated] == [tokens.tolist() for tokens in generated]
        assert [tokens.tolist() for tokens in found.real] == [split.pieces[3].tolist(), split.pieces[1].tolist()]
        assert found.lengths == [len(split.pieces[3]), len(split.pieces[1])]
        assert [path.name for path in (tmp_path / "archive").iterdir()] == ["train.parquet"]

    def test_of_another_vocabulary_are_refused(self, split: Split, tmp_path: Path) -> None:
        write_pairs(
            tmp_path / "a.parquet",
            split,
            [0],
            [split.pieces[0]],
            replace(TokenFormat.of(split.encoding), vocabulary="a" * 64),
        )
        with pytest.raises(ShardError, match="its ids mean something else"):
            read_pairs(tmp_path / "a.parquet", split, TokenFormat.of(split.encoding))
