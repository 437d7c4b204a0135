"""Batches: a pure function of sizes, seed and number, that loses no token and does not know the ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modeling.batches import Loader, Split, collate, epoch_windows, load_split
from modeling.embeddings import Batch
from modeling.transformer import IGNORED
from tokenization.augmentation import AugmentationSchedule
from tokenization.encodings import HEADER, get_encoding
from tokenization.encodings.combined import Combined
from tokenization.shards import Row, ShardError, Stamp, write_shard
from tokenization.vocabulary import Tokens, Vocabulary

QUICK = settings(max_examples=60, deadline=None)

sizes_of_pieces = st.lists(st.integers(HEADER + 1, 700), min_size=1, max_size=12).map(lambda s: np.array(s, np.int64))


def equal(first: tuple[Batch, torch.Tensor], second: tuple[Batch, torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip((*first[0], first[1]), (*second[0], second[1])))


def seen_tokens(sizes: NDArray[np.int64], body: int, seed: int, epoch: int) -> list[NDArray[np.bool_]]:
    """Which body tokens of each piece some window of the epoch holds."""
    seen = [np.zeros(size - HEADER, np.bool_) for size in sizes]
    windows = epoch_windows(sizes, body, seed, epoch)
    for piece, start in zip(windows.piece, windows.start):
        seen[piece][start : start + body] = True
    return seen


class TestWindows:
    @QUICK
    @given(sizes=sizes_of_pieces, body=st.integers(8, 100), seed=st.integers(0, 9), epoch=st.integers(0, 5))
    def test_together_they_cover_every_piece(self, sizes: NDArray[np.int64], body: int, seed: int, epoch: int) -> None:
        assert all(seen.all() for seen in seen_tokens(sizes, body, seed, epoch))

    @QUICK
    @given(sizes=sizes_of_pieces, body=st.integers(8, 100), seed=st.integers(0, 9), epoch=st.integers(0, 5))
    def test_they_lie_inside_their_piece_and_touch_both_ends(
        self, sizes: NDArray[np.int64], body: int, seed: int, epoch: int
    ) -> None:
        windows = epoch_windows(sizes, body, seed, epoch)
        assert (windows.start >= 0).all()
        for piece, size in enumerate(sizes - HEADER):
            starts = windows.start[windows.piece == piece]
            assert starts.min() == 0
            assert starts.max() == max(size - body, 0)

    @QUICK
    @given(sizes=sizes_of_pieces, body=st.integers(8, 100), seed=st.integers(0, 9), epoch=st.integers(0, 5))
    def test_their_number_is_the_least_that_covers_in_every_epoch(
        self, sizes: NDArray[np.int64], body: int, seed: int, epoch: int
    ) -> None:
        windows = epoch_windows(sizes, body, seed, epoch)
        least = np.maximum(-(-(sizes - HEADER) // body), 1)
        assert np.bincount(windows.piece, minlength=len(sizes)).tolist() == least.tolist()

    @QUICK
    @given(sizes=sizes_of_pieces, seed=st.integers(0, 9), epoch=st.integers(0, 5))
    def test_they_are_a_pure_function_of_sizes_seed_and_epoch(
        self, sizes: NDArray[np.int64], seed: int, epoch: int
    ) -> None:
        first, second = (epoch_windows(sizes.copy(), 30, seed, epoch) for _ in range(2))
        assert first.piece.tolist() == second.piece.tolist()
        assert first.start.tolist() == second.start.tolist()

    def test_other_seeds_and_epochs_have_another_order_and_other_windows(self) -> None:
        sizes = np.full(20, 330)
        found = [epoch_windows(sizes, 60, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
        assert len({tuple(windows.piece.tolist()) for windows in found}) == 3
        assert len({tuple(sorted(zip(windows.piece.tolist(), windows.start.tolist()))) for windows in found}) == 3

    def test_the_windows_of_a_piece_are_spread_over_the_epoch(self) -> None:
        piece = epoch_windows(np.full(10, 1004), 100, 0, 0).piece
        assert (np.diff(piece) == 0).mean() < 0.3

    def test_by_hand(self) -> None:
        # 250 body tokens in windows of 100: 0–99, then one that starts at 50 at the earliest, then 150–249
        starts = {tuple(np.sort(epoch_windows(np.array([254]), 100, seed, 0).start)) for seed in range(200)}
        assert {(first, last) for first, _, last in starts} == {(0, 150)}
        assert min(middle for _, middle, _ in starts) < 60
        assert max(middle for _, middle, _ in starts) > 90


class TestCollate:
    def test_targets_are_the_next_tokens_of_the_music(
        self, make_piece: Callable[..., Tokens], vocabulary: Vocabulary, encoding: Combined
    ) -> None:
        pieces = [make_piece(30, 0), make_piece(2, 1)]
        long, short = pieces
        batch, targets = collate(pieces, [0, 0], 32, encoding)
        assert batch.tokens.shape == targets.shape == (2, 32)
        assert batch.tokens[0].tolist() == long[:32].tolist()
        assert targets[0].tolist() == [*[IGNORED] * (HEADER - 1), *long[HEADER:33].tolist()]
        rest = 32 - len(short) + 1
        assert targets[1].tolist() == [*[IGNORED] * (HEADER - 1), *short[HEADER:].tolist(), *[IGNORED] * rest]
        assert targets[1, len(short) - 2] == vocabulary.end
        assert batch.tokens[1, len(short) :].tolist() == [vocabulary.pad] * (32 - len(short))

    @QUICK
    @given(data=st.data())
    def test_the_target_of_a_position_is_the_next_input(
        self, data: st.DataObject, split: Split, vocabulary: Vocabulary, encoding: Combined
    ) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(split.pieces) - 1), min_size=1, max_size=4))
        pieces = [split.pieces[i] for i in chosen]
        starts = [data.draw(st.integers(0, len(piece) - HEADER - 1)) for piece in pieces]
        batch, targets = collate(pieces, starts, 24, encoding)
        counted = targets[:, :-1] != IGNORED
        assert torch.equal(targets[:, :-1][counted], batch.tokens[:, 1:][counted])
        assert not bool(counted[:, : HEADER - 1].any())
        assert vocabulary.pad not in targets

    def test_features_are_those_of_the_whole_piece(self, split: Split, encoding: Combined) -> None:
        piece = split.pieces[-1]
        start = len(piece) // 2
        batch, _ = collate([piece], [start], 24, encoding)
        marks = encoding.features(piece)
        where = [0, 1, 2, 3, *range(HEADER + start, start + 24)]
        for field in ("time", "chord", "part", "countdown"):
            assert getattr(batch, field)[0].tolist() == getattr(marks, field)[where].tolist(), field
        assert batch.part[0, -1] > 60

    def test_a_piece_may_be_known_only_in_part(self, split: Split, encoding: Combined) -> None:
        piece = split.pieces[-1]
        whole, _ = collate([piece], [0], 24, encoding)
        cut, _ = collate([piece[:25]], [0], 24, encoding, lengths=[len(piece)])
        assert all(torch.equal(x, y) for x, y in zip(whole, cut))


class TestLoader:
    def test_a_batch_is_the_same_whenever_it_is_asked_for(self, split: Split) -> None:
        loader = Loader(split, 32, 4, seed=3, style_dropout=0.5)
        straight = [loader.batch(number) for number in range(2 * loader.batches_per_epoch + 1)]
        for number in (0, len(straight) - 1, 1, loader.batches_per_epoch):
            assert equal(loader.batch(number), straight[number])
            assert equal(Loader(split, 32, 4, seed=3, style_dropout=0.5).batch(number), straight[number])

    def test_epochs_and_seeds_differ(self, split: Split) -> None:
        loader = Loader(split, 32, 4)
        assert not equal(loader.batch(0), loader.batch(loader.batches_per_epoch))
        assert not equal(loader.batch(0), Loader(split, 32, 4, seed=1).batch(0))

    @pytest.mark.parametrize("ranks", [2, 4])
    def test_any_number_of_ranks_shares_the_same_global_batches(self, ranks: int, split: Split) -> None:
        loader = Loader(split, 32, 8, style_dropout=0.5)
        for number in (0, 1, loader.batches_per_epoch + 1):
            whole = loader.batch(number)
            shares = [Loader(split, 32, 8, style_dropout=0.5).batch(number, rank, ranks) for rank in range(ranks)]
            assert {len(targets) for _, targets in shares} == {8 // ranks}
            together = Batch(*(torch.cat(field) for field in zip(*(batch for batch, _ in shares))))
            assert equal((together, torch.cat([targets for _, targets in shares])), whole)

    @pytest.mark.parametrize("batch_size", [1, 4, 7])
    def test_every_body_token_is_a_target_in_an_epoch(self, batch_size: int, split: Split) -> None:
        # Pieces of ascending ids, each id once, so that a target says which token of which piece it is.
        bodies = np.split(np.arange(1000), [30, 130, 131, 300, 700])
        pieces = [np.concatenate([[1060, 1061, 1062, 1063], body]).astype(np.uint16) for body in bodies]
        numbered = replace(split, pieces=pieces, piece_ids=[""] * 6, styles=[None] * 6)
        loader = Loader(numbered, 32, batch_size)
        for epoch in range(3):
            numbers = range(epoch * loader.batches_per_epoch, (epoch + 1) * loader.batches_per_epoch)
            targets = torch.cat([loader.batch(number)[1].flatten() for number in numbers])
            assert targets[targets != IGNORED].unique().tolist() == list(range(1000))

    def test_a_batch_larger_than_the_split_repeats_it(self, split: Split) -> None:
        small = Split(split.pieces[:1], split.piece_ids[:1], split.styles[:1], split.encoding)
        batch, _ = Loader(small, 64, 8).batch(5)
        assert batch.tokens.unique(dim=0).shape == (1, 64)

    def test_a_split_without_pieces_is_refused(self, encoding: Combined) -> None:
        with pytest.raises(ShardError, match="no piece"):
            Loader(Split([], [], [], encoding), 32, 4)


class TestStyleDropout:
    @staticmethod
    def first_tokens(split: Split, rate: float, batches: int = 100) -> NDArray[np.int64]:
        styled = [i for i, style in enumerate(split.styles) if style]
        known = Split(
            *([column[i] for i in styled] for column in (split.pieces, split.piece_ids, split.styles)), split.encoding
        )
        loader = Loader(known, 32, 16, style_dropout=rate)
        return torch.cat([loader.batch(number)[0].tokens[:, 0] for number in range(batches)]).numpy()

    @pytest.mark.parametrize("rate", [0.1, 0.5])
    def test_styles_are_hidden_at_the_asked_rate(self, rate: float, split: Split) -> None:
        hidden = self.first_tokens(split, rate) == split.vocabulary.no_style
        # 1600 draws: five standard deviations
        assert hidden.mean() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / 1600) ** 0.5)

    def test_none_or_all(self, split: Split) -> None:
        vocabulary = split.vocabulary
        assert set(self.first_tokens(split, 0.0, 10)) == {vocabulary.style_id("bach"), vocabulary.style_id("jazz")}
        assert set(self.first_tokens(split, 1.0, 10)) == {vocabulary.no_style}

    def test_nothing_but_the_style_changes(self, split: Split) -> None:
        shown, targets = Loader(split, 32, 8).batch(3)
        hidden, same_targets = Loader(split, 32, 8, style_dropout=1.0).batch(3)
        assert torch.equal(shown.tokens[:, 1:], hidden.tokens[:, 1:])
        assert all(torch.equal(x, y) for x, y in zip(shown[1:], hidden[1:]))
        assert torch.equal(targets, same_targets)

    def test_the_pieces_in_memory_stay_as_they_are(self, split: Split) -> None:
        before = [piece.copy() for piece in split.pieces]
        Loader(split, 32, 8, style_dropout=1.0).batch(0)
        assert all(np.array_equal(x, y) for x, y in zip(before, split.pieces))


class TestAugmentation:
    UP_TO_FIVE = AugmentationSchedule(transpose=5, final_transpose=0, anneal_from=0.5, velocity=40)

    def loader(self, split: Split, schedule: AugmentationSchedule, steps: int = 100) -> Loader:
        return Loader(split, 32, 8, augmentation=schedule, steps=steps)

    def test_windows_are_variants_of_the_pieces_windows(self, split: Split) -> None:
        plain, targets = Loader(split, 32, 8).batch(3)
        varied, varied_targets = self.loader(split, self.UP_TO_FIVE).batch(3)
        assert not torch.equal(varied.tokens, plain.tokens)
        for name in ("time", "chord", "part", "countdown"):
            assert torch.equal(getattr(varied, name), getattr(plain, name)), "neither pitch nor velocity changes those"
        assert torch.equal(varied_targets == IGNORED, targets == IGNORED)
        notes = plain.tokens < split.vocabulary.note_end
        moved = (varied.tokens - plain.tokens) % 128
        for row in range(8):
            pitched = notes[row] & (plain.tokens[row] < split.vocabulary.first_rows[-1] * 128)
            assert len(set(moved[row][pitched].tolist())) <= 1, "one transposition for all of a window"
            assert torch.equal(varied.tokens[row][~notes[row]], plain.tokens[row][~notes[row]])

    def test_transposition_becomes_less_and_ends(self, split: Split) -> None:
        schedule = AugmentationSchedule(transpose=5)
        loader = self.loader(split, schedule, steps=1000)
        first, last = Loader(split, 32, 8).batch(0)[0], Loader(split, 32, 8).batch(1000)[0]
        assert not torch.equal(loader.batch(0)[0].tokens, first.tokens)
        assert torch.equal(loader.batch(1000)[0].tokens, last.tokens)

    def test_the_same_batch_whenever_and_wherever(self, split: Split) -> None:
        schedule = AugmentationSchedule(transpose=5, velocity=20, stretch=0.1)
        whole = self.loader(split, schedule).batch(7)
        assert equal(self.loader(split, schedule).batch(7), whole)
        shares = [self.loader(split, schedule).batch(7, rank, 2) for rank in range(2)]
        together = Batch(*(torch.cat(field) for field in zip(*(batch for batch, _ in shares))))
        assert equal((together, torch.cat([targets for _, targets in shares])), whole)

    def test_stretched_windows_hold_other_waits(self, split: Split) -> None:
        stretched = self.loader(split, AugmentationSchedule(stretch=0.3)).batch(2)[0]
        plain = Loader(split, 32, 8).batch(2)[0]
        assert torch.equal(stretched.tokens[:, :3], plain.tokens[:, :3])
        assert not torch.equal(stretched.time, plain.time)

    def test_without_a_schedule_nothing_is_varied(self, split: Split) -> None:
        assert equal(self.loader(split, AugmentationSchedule()).batch(4), Loader(split, 32, 8).batch(4))


class TestLoadSplit:
    def test_it_has_the_pieces_of_all_its_shards_in_order(self, version: Path, split: Split) -> None:
        train, validation = load_split(version, "train"), load_split(version, "validation")
        assert train.piece_ids + validation.piece_ids == split.piece_ids
        assert train.styles + validation.styles == split.styles
        found = train.pieces + validation.pieces
        assert [piece.tolist() for piece in found] == [piece.tolist() for piece in split.pieces]
        assert train.sizes.tolist() == [len(piece) for piece in split.pieces[:8]]
        assert train.vocabulary == split.vocabulary

    def test_a_split_without_shards_is_empty(self, version: Path) -> None:
        assert load_split(version, "test").pieces == []
        assert load_split(version, "test").sizes.tolist() == []

    def test_files_that_the_version_does_not_list_are_not_read(self, version: Path, split: Split) -> None:
        (version / "train" / "99999.parquet").write_bytes(b"left over")
        assert len(load_split(version, "train").pieces) == 8

    def test_a_missing_shard(self, version: Path) -> None:
        (version / "train" / "00001.parquet").unlink()
        with pytest.raises(ShardError, match=r"00001\.parquet is missing .*: ingest again"):
            load_split(version, "train")

    def test_a_damaged_shard(self, version: Path) -> None:
        path = version / "train" / "00000.parquet"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ShardError, match=r"00000\.parquet"):
            load_split(version, "train")

    def test_a_shard_of_another_vocabulary(self, version: Path, split: Split) -> None:
        foreign = Vocabulary.load("general_midi")
        row = Row("x", "x", None, "piano", split.pieces[0])
        write_shard(version / "train" / "00000.parquet", [row], Stamp.of(get_encoding("combined", foreign)))
        with pytest.raises(ShardError, match="mean something else"):
            load_split(version, "train")

    def test_a_shard_of_another_encoding(self, version: Path) -> None:
        path = version / "dataset.json"
        description = json.loads(path.read_text())
        path.write_text(json.dumps({**description, "encoding": {"name": "chordwise", "time": "seconds"}}))
        with pytest.raises(ShardError, match="'chordwise'"):
            load_split(version, "train")
