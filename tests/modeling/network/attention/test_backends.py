"""Backends: each computes the layout's attention exactly, forward and backward, and nothing from the future."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import flex_attention as torch_flex
from torch.nn.attention.flex_attention import BlockMask

from modeling.config import SparsityConfig
from modeling.network.attention import BackendError, attention, cached_attention
from modeling.network.attention.flex import TILE, block_mask, document_block_mask, flex_attention
from modeling.network.attention.gather import make_plan
from modeling.network.sparsity import BlockDiagonal, Blocks, Column, Dense, Halves, Layout, Local, layer_layouts
from modeling.network.sparsity.blocks import Sliding

QUICK = settings(max_examples=25, deadline=None)
WHOLE_AND_BROKEN = [1, 5, 8, 16, 19, 40]
"""Lengths: shorter than a block, whole blocks, and with a broken last block."""
HEADS = 4
CPU = torch.device("cpu")
FACTORS = {"strided": ("layers", "heads"), "fixed": ("layers", "heads", "merged")}


def all_layouts(block: int) -> list[Layout]:
    """Return the layouts of every mode, with its factors, shared by heads and by head."""
    common = {"block": block, "stride": 3, "num_random_blocks": 2, "local_window_blocks": (2, 1, 3)}
    per_head = {"different_layout_per_head": True, "num_different_global_patterns": 2}
    found: dict[Layout, None] = {}
    for mode in ("dense", "local", "strided", "fixed", "variable", "bigbird", "bslongformer"):
        for factors in FACTORS.get(mode, ("layers",)):
            for more in ({"global_block_indices": (0, 3)}, per_head, {"num_sliding_window_blocks": 5}):
                config = SparsityConfig.model_validate({"mode": mode, "factors": factors, **common, **more})
                found |= dict.fromkeys(layer_layouts(config, 2, HEADS))
    return list(found)


layouts = st.integers(1, 9).flatmap(lambda block: st.sampled_from(all_layouts(block)))


def tensors(length: int, seed: int, heads: int = HEADS, batch: int = 2, width: int = 4) -> list[Tensor]:
    """Draw queries, and keys and values of `heads` heads, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(batch, count, length, width) for count in (HEADS, heads, heads)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def documents(length: int, seed: int, batch: int = 2, mean: int = 8) -> Tensor:
    """Draw ids of documents with a mean length of `mean` positions."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand((batch, length), generator=generator) < 1 / mean).cumsum(1)


def with_gradients(
    backend: str, layout: Layout, length: int, seed: int, heads: int = HEADS, document_bt: Tensor | None = None
) -> list[Tensor]:
    """Return the output and the gradients of queries, keys and values under a random linear loss."""
    inputs = [x.requires_grad_() for x in tensors(length, seed, heads)]
    out = attention(backend, layout, inputs[0], inputs[1], inputs[2], document_bt)
    weights = tensors(length, seed + 1)[0]
    return [out, *torch.autograd.grad((out * weights).sum(), inputs)]


def tiles_of(mask_bhtt: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tiles that are kept in part or in whole, and those in whole, both (b, h, n, n)."""
    b, h, t, _ = mask_bhtt.shape
    tiles = mask_bhtt.reshape(b, h, t // TILE, TILE, t // TILE, TILE).transpose(3, 4).flatten(4)
    return tiles.any(-1), tiles.all(-1)


def whole_tiles(mask: BlockMask) -> Tensor:
    """The tiles that a kernel computes without a mask."""
    count, index = mask.full_kv_num_blocks, mask.full_kv_indices
    assert count is not None and index is not None
    return torch.zeros_like(index).scatter(3, index.long(), (torch.arange(index.shape[3]) < count[..., None]).int()) > 0


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


class TestOracle:
    @pytest.mark.parametrize("backend", ["dense_mask", "fold", "auto"])
    @pytest.mark.parametrize(
        ("layout", "means"),
        [
            # Queries of zero weigh what they see alike, so that the output is the mean of the values seen.
            (Dense(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
            (Local(2), [0.0, 0.5, 1.0, 1.5, (2 + 3 + 4) / 3, (2 + 3 + 4 + 5) / 4, (4 + 5 + 6) / 3]),
            (Column(3), [0.0, 1.0, 2.0, 1.5, 2.5, 3.5, 3.0]),
            (BlockDiagonal(3), [0.0, 0.5, 1.0, 3.0, 3.5, 4.0, 6.0]),
        ],
        ids=str,
    )
    def test_means_by_hand(self, backend: str, layout: Layout, means: list[float]) -> None:
        values = torch.arange(7, dtype=torch.float64)[None, None, :, None]
        out = attention(backend, layout, torch.zeros_like(values), values, values)
        assert out.flatten().tolist() == pytest.approx(means)

    @pytest.mark.parametrize("backend", ["dense_mask", "fold"])
    def test_documents_and_grouped_heads_by_hand(self, backend: str) -> None:
        """Two documents; four heads of queries, of which pairs share values; those of the second pair are tenfold."""
        values = torch.arange(5, dtype=torch.float64)[None, None, :, None] * torch.tensor([1, 10])[None, :, None, None]
        queries = torch.zeros(1, 4, 5, 1, dtype=torch.float64)
        out = attention(backend, Dense(), queries, values, values, torch.tensor([[0, 0, 2, 2, 2]]))
        first = [0.0, 0.5, 2.0, 2.5, 3.0]
        assert out[0, :, :, 0].tolist() == [first, first, [10 * x for x in first], [10 * x for x in first]]

    @QUICK
    @given(layout=layouts, length=st.integers(2, 40), data=st.data())
    def test_nothing_leaks_from_the_future(self, layout: Layout, length: int, data: st.DataObject) -> None:
        changed = data.draw(st.integers(1, length - 1))
        before = tensors(length, 0)
        after = [torch.cat([x[:, :, :changed], y[:, :, changed:]], dim=2) for x, y in zip(before, tensors(length, 1))]
        outs = [attention("fold", layout, *inputs)[:, :, :changed] for inputs in (before, after)]
        torch.testing.assert_close(*outs, rtol=1e-10, atol=1e-12)


class TestFold:
    @pytest.mark.parametrize("length", WHOLE_AND_BROKEN)
    @pytest.mark.parametrize("documented", [False, True])
    def test_every_layout_equals_the_oracle(self, length: int, documented: bool) -> None:
        document_bt = documents(length, 0) if documented else None
        for layout in all_layouts(4):
            results = [with_gradients(name, layout, length, 0, 2, document_bt) for name in ("fold", "dense_mask")]
            assert_equal(*results)

    @QUICK
    @given(
        layout=layouts,
        length=st.integers(1, 70),
        seed=st.integers(0, 99),
        heads=st.sampled_from([1, 2, 4]),
        documented=st.booleans(),
    )
    def test_it_equals_the_oracle_anywhere(
        self, layout: Layout, length: int, seed: int, heads: int, documented: bool
    ) -> None:
        document_bt = documents(length, seed) if documented else None
        results = [with_gradients(name, layout, length, seed, heads, document_bt) for name in ("fold", "dense_mask")]
        assert_equal(*results)

    @pytest.mark.parametrize("layout", all_layouts(4), ids=str)
    def test_half_precision(self, layout: Layout) -> None:
        q, k, v = (x.bfloat16() for x in tensors(19, 0, heads=2))
        out = attention("fold", layout, q, k, v)
        assert (out.shape, out.dtype) == (q.shape, torch.bfloat16)
        exact = attention("dense_mask", layout, q.double(), k.double(), v.double())
        torch.testing.assert_close(out.double(), exact, rtol=2e-2, atol=2e-2)

    def test_memory_in_order_of_time(self) -> None:
        """As a projection gives it: one tensor (b, t, 3, h, d), of which queries, keys and values are views."""
        packed = torch.randn(2, 21, 3, HEADS, 4, dtype=torch.float64)
        q, k, v = packed.permute(2, 0, 3, 1, 4).unbind(0)
        for layout in all_layouts(4):
            assert_equal([attention("fold", layout, q, k, v)], [attention("dense_mask", layout, q, k, v)])

    @pytest.mark.parametrize("layout", [Local(7), Blocks(3, (Sliding(1),), random=1, seed=11)], ids=str)
    def test_training_may_follow_generation(self, layout: Layout) -> None:
        with torch.inference_mode():
            attention("fold", layout, *tensors(21, 0))
        assert_equal(*(with_gradients(name, layout, 21, 0) for name in ("fold", "dense_mask")))

    def test_pieces_of_a_batch_do_not_mix(self) -> None:
        q, k, v = tensors(14, 0)
        for layout in all_layouts(3):
            alone = attention("fold", layout, q[1:], k[1:], v[1:])
            torch.testing.assert_close(attention("fold", layout, q, k, v)[1:], alone)

    @pytest.mark.parametrize("length", [16_384, 32_768])
    def test_long_sequences_take_no_square(self, length: int) -> None:
        """A mask of all pairs would be a gigabyte of one head's floats, and dense attention a minute."""
        config = SparsityConfig(mode="strided", block=64, stride=256, factors="heads")
        (halves,) = layer_layouts(config, 1, 2)
        (window, _) = layer_layouts(SparsityConfig(mode="fixed", block=128), 2, 2)
        (bird,) = layer_layouts(SparsityConfig(mode="bigbird", block=128), 1, 2)
        q, k, v = torch.randn(3, 1, 2, length, 8)
        for layout in (halves, window, bird):
            assert attention("fold", layout, q, k, v).shape == q.shape

    def test_bands_share_what_their_rows_keep(self) -> None:
        """Global blocks that all rows see are gathered once for several rows; random ones hardly ever are shared."""
        summaries = layer_layouts(SparsityConfig(mode="fixed"), 2, HEADS)[1]
        random = layer_layouts(SparsityConfig(mode="bigbird"), 1, HEADS)[0]
        assert isinstance(summaries, Blocks) and isinstance(random, Blocks)
        assert make_plan(summaries, 64, CPU).rows > 1
        assert make_plan(random, 64, CPU).rows == 1


class TestFlex:
    """The kernel itself needs a GPU; its tiles and masks are checked here."""

    @pytest.mark.filterwarnings("ignore:flex_attention called without")
    def test_its_masks_equal_the_oracle(self) -> None:
        """With and without documents in turn: a mask for documents is that of the layout and one of its own."""
        q, k, v = (x.float() for x in tensors(300, 0, heads=2))
        for number, layout in enumerate(all_layouts(48)):
            document_bt = documents(300, 0, mean=70) if number % 2 else None
            if not isinstance(layout, Halves):
                out = flex_attention(layout, q, k, v, document_bt, kernel=torch_flex.flex_attention)
                torch.testing.assert_close(out, attention("dense_mask", layout, q, k, v, document_bt))

    @pytest.mark.parametrize("block", [32, 48, 128, 256])
    def test_it_skips_the_tiles_that_are_empty_and_masks_those_that_are_broken(self, block: int) -> None:
        document_bt = documents(4 * TILE, 1, mean=200)
        same = document_bt[:, None, :, None] == document_bt[:, None, None]
        for layout in all_layouts(block):
            if isinstance(layout, Halves | Column):
                continue
            mask = layout.mask(4 * TILE)[None]
            some, whole = tiles_of(mask)
            found = block_mask(layout, 4 * TILE, CPU)
            assert torch.equal(found.to_dense().bool(), some)
            assert torch.equal(whole_tiles(found), whole)
            # What a layout keeps of a tile may all be of other documents: such a tile need not be skipped.
            some_same, whole_same = tiles_of(mask & same)
            found = document_block_mask(layout, document_bt)
            assert bool((some_same <= found.to_dense().bool()).all())
            assert bool((found.to_dense().bool() <= (some & tiles_of(same)[0])).all())
            assert torch.equal(whole_tiles(found), whole_same)

    def test_layers_share_the_tiles_of_documents(self) -> None:
        document_bt = documents(TILE, 0)
        first = document_block_mask(Local(32), document_bt)
        assert document_block_mask(Local(32), document_bt) is first
        assert document_block_mask(Local(64), document_bt) is not first
        document_bt += 1
        assert document_block_mask(Local(32), document_bt) is not first
        with torch.inference_mode():
            document_bt = documents(TILE, 0)
            assert document_block_mask(Local(32), document_bt) is document_block_mask(Local(32), document_bt)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel is compiled for a GPU")
    @pytest.mark.parametrize("documented", [False, True])
    @pytest.mark.parametrize("length", [100, 1000])
    def test_the_kernel_equals_the_oracle(self, length: int, documented: bool) -> None:
        document_bt = documents(length, 0, mean=300).cuda() if documented else None
        for layout in all_layouts(64):
            results = []
            for backend in ("flex", "auto", "fold", "dense_mask"):
                inputs = [x.float().cuda().requires_grad_() for x in tensors(length, 0, heads=2, width=32)]
                out = attention(backend, layout, inputs[0], inputs[1], inputs[2], document_bt)
                weights = tensors(length, 1, width=32)[0].float().cuda()
                results.append([out, *torch.autograd.grad((out * weights).sum(), inputs)])
            for found in results[:-1]:
                for ours, theirs in zip(found, results[-1], strict=True):
                    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)


class TestBackends:
    def test_flex_needs_a_gpu(self) -> None:
        with pytest.raises(BackendError, match="backend=flex needs a CUDA device; here take backend=fold"):
            attention("flex", Local(4), *tensors(8, 0))

    def test_an_unknown_backend_is_refused(self) -> None:
        with pytest.raises(BackendError, match="no backend 'dense'; there are: auto, fold, flex, dense_mask"):
            attention("dense", Local(4), *tensors(8, 0))

    def test_an_unknown_layout_is_refused(self) -> None:
        spiral: Any = type("Spiral", (), {})()
        with pytest.raises(NotImplementedError, match="Spiral"):
            attention("fold", spiral, *tensors(4, 0))


class TestCached:
    @QUICK
    @given(layout=layouts, length=st.integers(1, 40), heads=st.sampled_from([1, 2, 4]), spare=st.integers(0, 3))
    def test_each_position_alone_gives_the_row_of_the_whole(
        self, layout: Layout, length: int, heads: int, spare: int
    ) -> None:
        q, k, v = tensors(length, 0, heads)
        whole = attention("dense_mask", layout, q, k, v)
        keys, values = (
            torch.cat([x, torch.full_like(x[:, :, :1], torch.nan).repeat(1, 1, spare, 1)], 2) for x in (k, v)
        )
        for position in range(length):
            one = q[:, :, position : position + 1]
            alone = cached_attention(layout, one, keys, values, position)
            torch.testing.assert_close(alone, whole[:, :, position : position + 1], rtol=1e-10, atol=1e-12)
