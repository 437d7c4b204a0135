"""The `flex` backend: a kernel that PyTorch compiles for a layout and that skips the tiles it drops (CUDA).

Tiles are 128 × 128 positions. The tiles that a layout keeps, in whole or in part, are derived from its blocks and from
the first and last document of each tile, so that no mask of all pairs is ever built. Axes: see the package; n tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import cast

import torch
from torch import Tensor
from torch.nn.attention import flex_attention as torch_flex
from torch.nn.attention.flex_attention import BlockMask
from torch.utils.weak import WeakTensorKeyDictionary

from modeling.network.attention.fold import columns_as_batch, document_columns, join_columns
from modeling.network.attention.rearrange import pad_documents, pad_time
from modeling.network.sparsity import BlockLayout, Column, Dense, Layout

TILE = 128
"""Positions in a tile: FlexAttention's default; sequences are padded to whole tiles."""

Kernel = Callable[..., Tensor]
Sees = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@lru_cache(maxsize=1)
def compiled() -> Kernel:
    """Return the kernel, compiled for each shape and kind of mask that it is called with."""
    kernel: Kernel = torch.compile(torch_flex.flex_attention, dynamic=False, recompile_limit=64)  # type: ignore[call-overload]
    return kernel


def _kernel() -> Kernel:
    """Return FlexAttention, compiled here unless it is being compiled as part of something larger."""
    return cast(Kernel, torch_flex.flex_attention) if torch.compiler.is_compiling() else compiled()


def flex_attention(
    layout: Layout,
    q_bhtd: Tensor,
    k_bktd: Tensor,
    v_bktd: Tensor,
    document_bt: Tensor | None,
    kernel: Kernel | None = None,
) -> Tensor:
    """Compute attention under a layout, shape (b, h, t, d). `kernel`: FlexAttention, compiled by default."""
    b, h, length, _ = q_bhtd.shape
    if isinstance(layout, Column):
        # A column touches every tile; transposed, it is dense.
        stride = min(layout.stride, length)
        q, k, v = (columns_as_batch(x, stride) for x in (q_bhtd, k_bktd, v_bktd))
        documents = None if document_bt is None else document_columns(document_bt, stride)
        return join_columns(flex_attention(Dense(), q, k, v, documents, kernel), b, stride)[:, :, :length]
    q, k, v = (pad_time(x, TILE) for x in (q_bhtd, k_bktd, v_bktd))
    whole = document_bt is None
    mask = block_mask(layout, q.shape[2], q.device) if whole else document_block_mask(layout, document_bt)
    out = (kernel or _kernel())(q, k, v, block_mask=mask, enable_gqa=h != k.shape[1])
    return out[:, :, :length]


@torch.compiler.disable  # type: ignore[untyped-decorator]
@lru_cache(maxsize=64)
@torch.inference_mode(False)  # the tensors outlive the call, and a later backward pass may need them
def block_mask(layout: Layout, length: int, device: torch.device) -> BlockMask:
    """Return the block mask of a layout at a length that is a multiple of TILE."""
    kept = tiles(layout, length // TILE, device)
    return _block_mask_of(kept.some, kept.all, kept.sees)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def document_block_mask(layout: Layout, document_bt: Tensor) -> BlockMask:
    """Return the block mask of a layout within documents, whose ids must not decrease along a row.

    It is cached for the lifetime of `document_bt`, so that the layers of a model share it.
    """
    made = _DOCUMENT_MASKS.setdefault(document_bt, {})  # type: ignore[no-untyped-call]
    # An in-place change raises the tensor's version; inference tensors have none.
    key = (layout, None if document_bt.is_inference() else document_bt._version)
    if key not in made:
        made[key] = _document_block_mask(layout, pad_documents(document_bt, TILE).clone())
    found: BlockMask = made[key]
    return found


_DOCUMENT_MASKS = WeakTensorKeyDictionary()


def _document_block_mask(layout: Layout, document_bt: Tensor) -> BlockMask:
    kept = tiles(layout, document_bt.shape[1] // TILE, document_bt.device)
    first_bn, last_bn = document_bt[:, ::TILE], document_bt[:, TILE - 1 :: TILE]
    touching = first_bn[:, :, None] <= last_bn[:, None]
    whole = (first_bn[:, :, None] == last_bn[:, :, None]) & (first_bn[:, None] == last_bn[:, None])
    same = whole & (first_bn[:, :, None] == first_bn[:, None])

    def sees(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return kept.sees(b, h, q, k) & (document_bt[b, q] == document_bt[b, k])

    return _block_mask_of(kept.some & touching[:, None], kept.all & same[:, None], sees)


@dataclass(frozen=True, eq=False)
class Tiles:
    """The tiles that a layout keeps."""

    some: Tensor
    """True for tiles that are kept in whole or in part, shape (1, heads, n, n), bool."""
    all: Tensor
    """True for tiles that are kept in whole, same shape."""
    sees: Sees
    """FlexAttention's mask function: True for kept pairs of query and key."""


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def tiles(layout: Layout, count: int, device: torch.device) -> Tiles:
    """Return the tiles that a layout keeps of a sequence of `count` tiles."""
    if isinstance(layout, Dense):
        square = torch.ones(1, 1, count, count, dtype=torch.bool, device=device)
        return Tiles(square.tril(), square.tril(-1), lambda b, h, q, k: k <= q)
    if not isinstance(layout, BlockLayout):
        raise NotImplementedError(f"the flex backend cannot compute {layout}")
    block, heads = layout.block, layout.heads
    table = layout.table(-(-count * TILE // block)).to(device)
    unit = gcd(block, TILE)
    size, units = TILE // unit, count * TILE // unit
    fine = table.repeat_interleave(block // unit, 1).repeat_interleave(block // unit, 2)[:, :units, :units]
    parts = fine.reshape(heads, count, size, count, size).transpose(2, 3).flatten(3)

    def sees(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return table[h if heads > 1 else 0, q // block, k // block] & (k <= q)

    return Tiles(parts.any(-1).tril()[None], parts.all(-1).tril(-1)[None], sees)


def _block_mask_of(some_bhnn: Tensor, all_bhnn: Tensor, sees: Sees) -> BlockMask:
    """Build a block mask; tiles that are kept in part are masked element by element."""
    partial, whole = _kept_first(some_bhnn & ~all_bhnn), _kept_first(all_bhnn)
    return BlockMask.from_kv_blocks(*partial, *whole, BLOCK_SIZE=TILE, mask_mod=sees)


def _kept_first(kept_bhnn: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of tiles that each row keeps, shape (b, h, n), and all tiles, the kept ones first."""
    order = kept_bhnn.int().argsort(dim=-1, descending=True, stable=True)
    return kept_bhnn.sum(-1, dtype=torch.int32), order.int()
