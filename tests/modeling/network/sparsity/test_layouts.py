"""Layouts: small masks drawn by hand, and one definition seen from all sides."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from modeling.config import SparsityConfig
from modeling.network.sparsity import (
    BlockDiagonal,
    Blocks,
    Column,
    Dense,
    Halves,
    Layout,
    Local,
    density,
    layer_layouts,
)
from modeling.network.sparsity.blocks import Global, LocalWindows, Sliding, Summaries

QUICK = settings(max_examples=25, deadline=None)
HEADS = 4
MODES = ["dense", "local", "strided", "fixed", "variable", "bigbird", "bslongformer"]
FACTORS = {"strided": ["layers", "heads"], "fixed": ["layers", "heads", "merged"]}


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """A layout of any mode, with small numbers."""
    mode = draw(st.sampled_from(MODES))
    factors = FACTORS.get(mode, ["layers"])
    per_head = draw(st.booleans())
    summaries, patterns = draw(st.integers(1, 2)), draw(st.integers(1, 2)) if per_head else 1
    starts = draw(st.lists(st.integers(0, 9), max_size=2))
    config = SparsityConfig(
        mode=mode,
        block=draw(st.integers(1, 5)),
        stride=draw(st.integers(1, 7)),
        num_sliding_window_blocks=draw(st.integers(1, 6)),
        num_local_blocks=summaries * draw(st.integers(patterns, 3)),
        num_global_blocks=summaries,
        num_different_global_patterns=patterns,
        num_random_blocks=draw(st.integers(0, 3)),
        local_window_blocks=tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))),
        global_block_indices=tuple(starts),
        global_block_end_indices=draw(st.sampled_from([None, tuple(start + 2 for start in starts)])),
        different_layout_per_head=per_head,
        seed=draw(st.integers(0, 5)),
        factors=draw(st.sampled_from(factors)),
    )
    return draw(st.sampled_from(layer_layouts(config, 2, HEADS)))


def drawn(mask: Tensor, head: int = 0) -> list[str]:
    return ["".join("#" if seen else "." for seen in row) for row in mask[head].tolist()]


def the_layout(**config: Any) -> Layout:
    """The only layout of a configuration whose layers are alike."""
    (layout,) = set(layer_layouts(SparsityConfig.model_validate(config), 3, HEADS))
    return layout


class TestByHand:
    def test_dense_sees_all_that_is_earlier(self) -> None:
        assert drawn(Dense().mask(4)) == [
            "#...",
            "##..",
            "###.",
            "####",
        ]

    def test_local_sees_its_block_and_those_before(self) -> None:
        assert drawn(Local(2).mask(7)) == [
            "#......",
            "##.....",
            "###....",
            "####...",
            "..###..",
            "..####.",
            "....###",
        ]
        assert drawn(Local(1, before=2).mask(5)) == [
            "#....",
            "##...",
            "###..",
            ".###.",
            "..###",
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

    def test_windows_lie_side_by_side(self) -> None:
        assert drawn(BlockDiagonal(3).mask(5)) == [
            "#....",
            "##...",
            "###..",
            "...#.",
            "...##",
        ]

    def test_fixed_and_its_halves(self) -> None:
        """Windows of three blocks, of which the last is for those that come later."""
        assert drawn(the_layout(mode="fixed", factors="merged", block=1, num_local_blocks=3).mask(8)) == [
            "#.......",
            "##......",
            "###.....",
            "..##....",
            "..###...",
            "..####..",
            "..#..##.",
            "..#..###",
        ]
        local, summaries = layer_layouts(SparsityConfig(mode="fixed", block=1, num_local_blocks=3), 2, HEADS)
        assert local == BlockDiagonal(3)
        assert drawn(summaries.mask(8)) == [
            "#.......",
            ".#......",
            "..#.....",
            "..##....",
            "..#.#...",
            "..#..#..",
            "..#..##.",
            "..#..#.#",
        ]

    def test_heads_take_turns_in_which_blocks_are_global(self) -> None:
        config = {"num_local_blocks": 2, "num_different_global_patterns": 2, "different_layout_per_head": True}
        mask = the_layout(mode="fixed", factors="merged", block=1, **config).mask(5)
        assert drawn(mask, 0) == drawn(mask, 2) == ["#....", "##...", ".##..", ".###.", ".#.##"]
        assert drawn(mask, 1) == drawn(mask, 3) == ["#....", "##...", "#.#..", "#.##.", "#.#.#"]

    def test_variable_repeats_its_last_window(self) -> None:
        config = {"local_window_blocks": (1, 2), "global_block_indices": (2,), "num_random_blocks": 0}
        assert drawn(the_layout(mode="variable", block=1, **config).mask(7)) == [
            "#......",
            ".#.....",
            ".##....",
            "..##...",
            "..###..",
            "..#..#.",
            "..#..##",
        ]

    def test_bslongformer_has_ranges_of_global_blocks(self) -> None:
        config = {"global_block_indices": (1,), "global_block_end_indices": (3,), "num_sliding_window_blocks": 3}
        assert drawn(the_layout(mode="bslongformer", block=1, **config).mask(7)) == [
            "#......",
            "##.....",
            ".##....",
            ".###...",
            ".####..",
            ".##.##.",
            ".##..##",
        ]

    def test_bigbird_sees_beginning_window_and_something_else(self) -> None:
        without = the_layout(mode="bigbird", block=1, num_random_blocks=0).mask(6)
        assert drawn(without) == ["#.....", "##....", "###...", "#.##..", "#..##.", "#...##"]
        more = (the_layout(mode="bigbird", block=1, num_random_blocks=2).mask(6) & ~without).sum(2)
        assert more.tolist() == [[0, 0, 0, 1, 2, 2]]

    def test_a_position_sees_only_what_is_earlier_of_its_own_block(self) -> None:
        assert drawn(the_layout(mode="bslongformer", block=2, num_sliding_window_blocks=1).mask(6)) == [
            "#.....",
            "##....",
            "###...",
            "####..",
            "##..#.",
            "##..##",
        ]

    def test_halves_of_the_heads(self) -> None:
        mask = Halves(Local(1), Column(2), HEADS).mask(5)
        assert all(torch.equal(mask[head], Local(1).mask(5)[0]) for head in (0, 1))
        assert all(torch.equal(mask[head], Column(2).mask(5)[0]) for head in (2, 3))


class TestProperties:
    @QUICK
    @given(layout=layouts(), length=st.integers(1, 40))
    def test_a_position_sees_itself_and_nothing_later(self, layout: Layout, length: int) -> None:
        mask = layout.mask(length)
        assert mask.shape == (layout.heads, length, length)
        assert layout.heads in (1, HEADS)
        assert mask.dtype == torch.bool
        assert bool(mask.diagonal(dim1=1, dim2=2).all())
        assert not bool(mask.triu(1).any())

    @QUICK
    @given(layout=layouts(), length=st.integers(1, 40))
    def test_the_keys_of_a_position_are_its_row_of_the_mask(self, layout: Layout, length: int) -> None:
        mask = layout.mask(length)
        for position in range(length):
            keys = layout.keys(position)
            row = torch.zeros(layout.heads, length, dtype=torch.bool)
            if isinstance(keys, slice):
                row[:, keys] = True
            else:
                row[:, : position + 1] = keys
            assert torch.equal(row, mask[:, position]), f"position {position}"

    @QUICK
    @given(layout=layouts(), length=st.integers(2, 40))
    def test_what_a_position_sees_does_not_depend_on_what_follows(self, layout: Layout, length: int) -> None:
        assert torch.equal(layout.mask(length)[:, :-1, :-1], layout.mask(length - 1))

    @QUICK
    @given(layout=layouts(), length=st.integers(1, 40))
    def test_density_is_the_share_of_the_mask(self, layout: Layout, length: int) -> None:
        kept = layout.mask(length).sum() / layout.heads
        assert density(layout, length) == pytest.approx(float(kept / (length * (length + 1) / 2)))

    @QUICK
    @given(block=st.integers(1, 12), data=st.data(), length=st.integers(1, 60))
    def test_a_local_and_a_strided_layer_together_reach_everything(
        self, block: int, data: st.DataObject, length: int
    ) -> None:
        stride = data.draw(st.integers(1, block + 1))
        local, column = Local(block).mask(length).int(), Column(stride).mask(length).int()
        assert torch.equal(column @ local > 0, Dense().mask(length))


class TestRandomBlocks:
    def test_they_are_the_same_every_time(self) -> None:
        # Drawn once and written down: what a model has learned with must be there when it generates.
        layout = the_layout(mode="bigbird", block=1, num_sliding_window_blocks=1, num_random_blocks=1, seed=3)
        further = layout.mask(12)[0].fill_diagonal_(False)[:, 1:].nonzero() + torch.tensor([0, 1])
        assert dict(further.tolist()) == {2: 1, 3: 1, 4: 1, 5: 1, 6: 3, 7: 3, 8: 4, 9: 1, 10: 1, 11: 5}

    def test_the_seed_changes_them(self) -> None:
        masks = [the_layout(mode="variable", block=2, num_random_blocks=2, seed=seed).mask(64) for seed in (0, 1)]
        assert not torch.equal(*masks)

    def test_heads_differ_if_asked_to(self) -> None:
        assert the_layout(mode="bigbird", num_random_blocks=2).heads == 1
        mask = the_layout(mode="bigbird", block=1, num_random_blocks=2, different_layout_per_head=True).mask(40)
        assert len({tuple(head.flatten().tolist()) for head in mask}) == HEADS

    def test_all_earlier_blocks_are_as_likely(self) -> None:
        """Rows 200 to 399 draw from all blocks before them: about as often from each fifth of these."""
        rules = (Sliding(0),)
        table = Blocks(1, rules, random=10, heads=HEADS).table(400)[:, 200:].tril(199)
        place = table.nonzero()[:, 2] / (table.nonzero()[:, 1] + 200)
        assert torch.histc(place, 5, 0, 1).tolist() == pytest.approx([HEADS * 200 * 10 / 5] * 5, rel=0.1)


class TestDensity:
    def test_dense_keeps_everything(self) -> None:
        assert density(Dense(), 17) == 1.0

    def test_by_hand(self) -> None:
        # of the 28 pairs of 7 positions the drawing of Local(2) keeps 1+2+3+4+3+4+3
        assert density(Local(2), 7) == pytest.approx(20 / 28)

    @pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "dense"])
    def test_sparse_layouts_keep_less_of_longer_sequences(self, mode: str) -> None:
        for layout in layer_layouts(SparsityConfig.model_validate({"mode": mode}), 2, HEADS):
            assert density(layout, 32_768) <= density(layout, 2048) < density(layout, 512) < 1


class TestLayers:
    def test_layers_alternate_and_begin_local(self) -> None:
        config = SparsityConfig(mode="strided", block=16, stride=8)
        assert layer_layouts(config, 5, 4) == [Local(16), Column(8), Local(16), Column(8), Local(16)]
        config = SparsityConfig(mode="fixed", block=16, num_local_blocks=2)
        fixed = [BlockDiagonal(32), Blocks(16, (Summaries(2, 1),))]
        assert layer_layouts(config, 3, 4) == [*fixed, fixed[0]]

    def test_heads_share_a_layer(self) -> None:
        config = SparsityConfig(mode="strided", block=16, stride=8, factors="heads")
        assert layer_layouts(config, 2, 6) == [Halves(Local(16), Column(8), 6)] * 2

    def test_the_other_modes_have_one_layout(self) -> None:
        assert layer_layouts(SparsityConfig(mode="dense"), 3, 4) == [Dense()] * 3
        assert layer_layouts(SparsityConfig(mode="local", block=4), 3, 4) == [Local(4)] * 3
        assert the_layout(mode="variable") == Blocks(64, (LocalWindows((4,)), Global(((0, 1),))), random=1)
        assert the_layout(mode="bigbird") == Blocks(64, (Sliding(1), Global(((0, 1),))), random=1)
        assert the_layout(mode="bslongformer", seed=7) == Blocks(64, (Sliding(1), Global(((0, 1),))))

    @pytest.mark.parametrize(("width", "layout"), [(1, BlockDiagonal(4)), (2, Local(4, 1)), (5, Local(4, 2))])
    def test_half_of_a_sliding_window_lies_before(self, width: int, layout: Layout) -> None:
        assert the_layout(mode="local", block=4, num_sliding_window_blocks=width) == layout
