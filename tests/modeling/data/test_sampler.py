"""The sampler: windows of an epoch that cover every piece, and rows that are nearly full when packed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modeling.data.sampler import EpochSampler, epoch_windows
from tokenization.encodings import HEADER

QUICK = settings(max_examples=25, deadline=None)

sizes_of_pieces = st.lists(st.integers(HEADER + 1, 700), min_size=1, max_size=12).map(lambda s: np.array(s, np.int64))


def seen_tokens(sizes: NDArray[np.int64], body: int, seed: int, epoch: int) -> list[NDArray[np.bool_]]:
    """Return the body tokens of each piece that some window of the epoch holds."""
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


class TestPacked:
    @QUICK
    @given(sizes=sizes_of_pieces, body=st.integers(8, 100), seed=st.integers(0, 9), epoch=st.integers(0, 5))
    def test_windows_hold_every_token_once(self, sizes: NDArray[np.int64], body: int, seed: int, epoch: int) -> None:
        rows = EpochSampler(sizes, body, seed, pack=True).epoch(epoch)
        seen = [np.zeros(size - HEADER, np.int64) for size in sizes]
        for piece, start, count in zip(rows.windows.piece, rows.windows.start, rows.count):
            assert 0 < count <= body
            assert start + count <= len(seen[piece])
            seen[piece][start : start + count] += 1
        assert all((each == 1).all() for each in seen)

    @QUICK
    @given(sizes=sizes_of_pieces, body=st.integers(8, 100), seed=st.integers(0, 9))
    def test_rows_are_as_many_in_every_epoch_and_have_room(
        self, sizes: NDArray[np.int64], body: int, seed: int
    ) -> None:
        sampler = EpochSampler(sizes, body, seed, pack=True)
        epochs = [sampler.epoch(epoch) for epoch in range(3)]
        assert len({len(rows) for rows in epochs}) == 1
        for rows in epochs:
            windows, row, place = rows.windows_of(np.arange(len(rows)))
            assert windows.tolist() == list(range(len(rows.windows)))
            filled = np.bincount(row, rows.count[windows] + HEADER - 1)
            assert len(filled) == len(rows), "no row is empty"
            assert filled.max() <= body + HEADER - 1
            assert (place == 0).sum() == len(rows)

    @QUICK
    @given(sizes=sizes_of_pieces, seed=st.integers(0, 9), epoch=st.integers(0, 5))
    def test_rows_are_a_pure_function(self, sizes: NDArray[np.int64], seed: int, epoch: int) -> None:
        first, second = (EpochSampler(sizes.copy(), 30, seed, pack=True).epoch(epoch) for _ in range(2))
        for one, other in ((first.windows.piece, second.windows.piece), (first.windows.start, second.windows.start)):
            assert one.tolist() == other.tolist()
        assert first.first.tolist() == second.first.tolist()

    def test_by_hand(self) -> None:
        # A row has 100 positions, a window three more than body tokens. 107 are 97 and 10.
        sampler = EpochSampler(HEADER + np.array([107, 54, 40, 80]), 97, 0, pack=True)
        found = sampler.epoch(0)
        windows = [sorted(found.count[found.first[row] : found.first[row + 1]].tolist()) for row in range(len(found))]
        assert sorted(windows) == [[10, 80], [40, 54], [97]]

    def test_pieces_are_cut_elsewhere_in_other_epochs(self) -> None:
        sampler = EpochSampler(np.array([HEADER + 250]), 100, 0, pack=True)
        starts = {tuple(np.sort(sampler.epoch(epoch).windows.start)) for epoch in range(30)}
        assert starts == {(0, 50, 150), (0, 100, 150), (0, 100, 200)}

    def test_other_epochs_have_another_order(self) -> None:
        sampler = EpochSampler(np.full(40, 50), 100, 0, pack=True)
        pieces = {tuple(sampler.epoch(epoch).windows.piece) for epoch in range(5)}
        assert len(pieces) == 5


@pytest.mark.parametrize("pack", [False, True])
def test_a_piece_without_music_does_no_harm(pack: bool) -> None:
    assert len(EpochSampler(np.array([HEADER, HEADER + 5, 1, 0]), 10, 0, pack).epoch(0).windows) == 4


@pytest.mark.parametrize("pack", [False, True])
def test_copies_of_a_piece_are_cut_each_for_itself(pack: bool) -> None:
    sampler = EpochSampler(HEADER + np.array([145, 200]), 50, 0, pack, np.array([3, 1]))
    windows, count = sampler.epoch(0).windows, sampler.epoch(0).count
    seen = [np.zeros(145 if piece == 0 else 200, np.int64) for piece in (0, 1)]
    for piece, start, tokens in zip(windows.piece, windows.start, count):
        seen[piece][start : start + tokens] += 1
    assert seen[0].min() >= 3
    assert seen[1].min() >= 1
    assert len(set(windows.start[(windows.piece == 0) & (windows.start > 0)])) > 2
