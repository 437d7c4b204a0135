"""Layouts: small masks drawn by hand, and one definition seen from three sides."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.config import SparsityConfig
from modeling.sparsity import Column, Dense, Layout, Local, density, layer_layouts

QUICK = settings(max_examples=60, deadline=None)

layouts = st.one_of(st.just(Dense()), st.integers(1, 12).map(Local), st.integers(1, 12).map(Column))


def drawn(mask: torch.Tensor) -> list[str]:
    return ["".join("#" if seen else "." for seen in row) for row in mask.tolist()]


class TestByHand:
    def test_dense_sees_all_that_is_earlier(self) -> None:
        assert drawn(Dense().mask(4)) == [
            "#...",
            "##..",
            "###.",
            "####",
        ]

    def test_local_sees_its_block_and_the_one_before(self) -> None:
        assert drawn(Local(2).mask(7)) == [
            "#......",
            "##.....",
            "###....",
            "####...",
            "..###..",
            "..####.",
            "....###",
        ]

    def test_column_sees_every_third_position_back(self) -> None:
        assert drawn(Column(3).mask(8)) == [
            "#.......",
            ".#......",
            "..#.....",
            "#..#....",
            ".#..#...",
            "..#..#..",
            "#..#..#.",
            ".#..#..#",
        ]

    def test_a_stride_of_one_is_dense(self) -> None:
        assert torch.equal(Column(1).mask(9), Dense().mask(9))

    def test_a_block_as_long_as_the_sequence_is_dense(self) -> None:
        assert torch.equal(Local(9).mask(9), Dense().mask(9))


class TestProperties:
    @QUICK
    @given(layout=layouts, length=st.integers(1, 40))
    def test_a_position_sees_itself_and_nothing_later(self, layout: Layout, length: int) -> None:
        mask = layout.mask(length)
        assert mask.shape == (length, length)
        assert mask.dtype == torch.bool
        assert bool(mask.diagonal().all())
        assert not bool(mask.triu(1).any())

    @QUICK
    @given(layout=layouts, length=st.integers(1, 40))
    def test_the_keys_of_a_position_are_its_row_of_the_mask(self, layout: Layout, length: int) -> None:
        mask = layout.mask(length)
        for position in range(length):
            row = torch.zeros(length, dtype=torch.bool)
            row[layout.keys(position)] = True
            assert torch.equal(row, mask[position]), f"position {position}"

    @QUICK
    @given(layout=layouts, length=st.integers(2, 40))
    def test_what_a_position_sees_does_not_depend_on_what_follows(self, layout: Layout, length: int) -> None:
        assert torch.equal(layout.mask(length)[:-1, :-1], layout.mask(length - 1))

    @QUICK
    @given(block=st.integers(1, 12), data=st.data(), length=st.integers(1, 60))
    def test_a_local_and_a_strided_layer_together_reach_everything(
        self, block: int, data: st.DataObject, length: int
    ) -> None:
        stride = data.draw(st.integers(1, block + 1))
        local, column = Local(block).mask(length).int(), Column(stride).mask(length).int()
        assert torch.equal(column @ local > 0, Dense().mask(length))


class TestDensity:
    def test_dense_keeps_everything(self) -> None:
        assert density(Dense(), 17) == 1.0

    def test_by_hand(self) -> None:
        # of the 28 pairs of 7 positions the drawing of Local(2) keeps 1+2+3+4+3+4+3
        assert density(Local(2), 7) == pytest.approx(20 / 28)

    @pytest.mark.parametrize("layout", [Local(64), Column(32)])
    def test_sparse_layouts_keep_less_of_longer_sequences(self, layout: Layout) -> None:
        assert density(layout, 2048) < density(layout, 512) < 1


class TestLayers:
    def test_strided_alternates_and_begins_local(self) -> None:
        config = SparsityConfig(mode="strided", block=16, stride=8)
        assert layer_layouts(config, 5) == [Local(16), Column(8), Local(16), Column(8), Local(16)]

    def test_the_other_modes_have_one_layout(self) -> None:
        assert layer_layouts(SparsityConfig(mode="dense"), 3) == [Dense()] * 3
        assert layer_layouts(SparsityConfig(mode="local", block=4), 3) == [Local(4)] * 3
