"""Attention by a kernel that PyTorch compiles for a layout and that skips the tiles it drops (CUDA).

Tiles are 128 × 128 positions. Which of them a layout keeps in whole or in part follows from its blocks and from the
first and last document of each tile, so that no mask of all pairs is ever built. Axes: see the package; n tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import cast

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.utils.weak import WeakTensorKeyDictionary

from modeling.network.attention.fold import columns_as_batch, columns_joined, document_columns
from modeling.network.attention.shapes import padded, padded_documents
from modeling.network.sparsity import BlockLayout, Column, Dense, Layout

TILE = 128
"""Positions in a tile: FlexAttention's own choice, and sequences are filled up to whole ones."""

Kernel = Callable[..., Tensor]
Sees = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@lru_cache(maxsize=1)
def compiled() -> Kernel:
    """The kernel, compiled for each shape and kind of mask that it meets."""
    kernel: Kernel = torch.compile(flex_attention, dynamic=False, recompile_limit=64)  # type: ignore[call-overload]
    return kernel


def _kernel() -> Kernel:
    """FlexAttention compiled, alone or as a part of what is being compiled."""
    return cast(Kernel, flex_attention) if torch.compiler.is_compiling() else compiled()


def attend_flex(
    layout: Layout,
    q_bhtd: Tensor,
    k_bktd: Tensor,
    v_bktd: Tensor,
    document_bt: Tensor | None,
    kernel: Kernel | None = None,
) -> Tensor:
    """Attention of a layout, shape (b, h, t, d); `kernel` is FlexAttention, by default compiled."""
    b, h, length, _ = q_bhtd.shape
    if isinstance(layout, Column):
        # As a pattern of elements a column keeps every tile; transposed, it is dense.
        stride = min(layout.stride, length)
        q, k, v = (columns_as_batch(x, stride) for x in (q_bhtd, k_bktd, v_bktd))
        documents = None if document_bt is None else document_columns(document_bt, stride)
        return columns_joined(attend_flex(Dense(), q, k, v, documents, kernel), b, stride)[:, :, :length]
    q, k, v = (padded(x, TILE) for x in (q_bhtd, k_bktd, v_bktd))
    alone = document_bt is None
    mask = block_mask(layout, q.shape[2], q.device) if alone else document_block_mask(layout, document_bt)
    out = (kernel or _kernel())(q, k, v, block_mask=mask, enable_gqa=h != k.shape[1])
    return out[:, :, :length]


@torch.compiler.disable  # type: ignore[untyped-decorator]
@lru_cache(maxsize=64)
@torch.inference_mode(False)  # its tensors outlive the call, and a later backward pass may need them
def block_mask(layout: Layout, length: int, device: torch.device) -> BlockMask:
    """Tiles and mask of a layout at a length that is a multiple of the tile."""
    kept = tiles(layout, length // TILE, device)
    return _of_tiles(kept.some, kept.all, kept.sees)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def document_block_mask(layout: Layout, document_bt: Tensor) -> BlockMask:
    """The same where only positions of one document see each other; ids must not fall along a row.

    It is kept as long as `document_bt`, so that the layers of a model share it.
    """
    made = _OF_DOCUMENTS.setdefault(document_bt, {})  # type: ignore[no-untyped-call]
    # A change in place makes another version; tensors of inference mode do not count theirs.
    key = (layout, None if document_bt.is_inference() else document_bt._version)
    if key not in made:
        made[key] = _document_block_mask(layout, padded_documents(document_bt, TILE).clone())
    found: BlockMask = made[key]
    return found


_OF_DOCUMENTS = WeakTensorKeyDictionary()


def _document_block_mask(layout: Layout, document_bt: Tensor) -> BlockMask:
    kept = tiles(layout, document_bt.shape[1] // TILE, document_bt.device)
    first_bn, last_bn = document_bt[:, ::TILE], document_bt[:, TILE - 1 :: TILE]
    touching = first_bn[:, :, None] <= last_bn[:, None]
    whole = (first_bn[:, :, None] == last_bn[:, :, None]) & (first_bn[:, None] == last_bn[:, None])
    same = whole & (first_bn[:, :, None] == first_bn[:, None])

    def sees(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return kept.sees(b, h, q, k) & (document_bt[b, q] == document_bt[b, k])

    return _of_tiles(kept.some & touching[:, None], kept.all & same[:, None], sees)


@dataclass(frozen=True, eq=False)
class Tiles:
    """What a layout keeps."""

    some: Tensor
    """Tiles of which it keeps anything, shape (1, heads, n, n), bool."""
    all: Tensor
    """Tiles of which it keeps everything."""
    sees: Sees
    """Whether it keeps a pair of a query and a key."""


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def tiles(layout: Layout, count: int, device: torch.device) -> Tiles:
    """What a layout keeps of a sequence of `count` tiles."""
    if isinstance(layout, Dense):
        square = torch.ones(1, 1, count, count, dtype=torch.bool, device=device)
        return Tiles(square.tril(), square.tril(-1), lambda b, h, q, k: k <= q)
    if not isinstance(layout, BlockLayout):
        raise NotImplementedError(f"the flex backend has no way to compute {layout}")
    block, heads = layout.block, layout.heads
    table = layout.table(-(-count * TILE // block)).to(device)
    unit = gcd(block, TILE)
    size, units = TILE // unit, count * TILE // unit
    fine = table.repeat_interleave(block // unit, 1).repeat_interleave(block // unit, 2)[:, :units, :units]
    parts = fine.reshape(heads, count, size, count, size).transpose(2, 3).flatten(3)

    def sees(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return table[h if heads > 1 else 0, q // block, k // block] & (k <= q)

    return Tiles(parts.any(-1).tril()[None], parts.all(-1).tril(-1)[None], sees)


def _of_tiles(some_bhnn: Tensor, all_bhnn: Tensor, sees: Sees) -> BlockMask:
    """A block mask: tiles that are kept in part are masked element by element."""
    partial, whole = _listed(some_bhnn & ~all_bhnn), _listed(all_bhnn)
    return BlockMask.from_kv_blocks(*partial, *whole, BLOCK_SIZE=TILE, mask_mod=sees)


def _listed(kept_bhnn: Tensor) -> tuple[Tensor, Tensor]:
    """How many tiles each row keeps, and all tiles, the kept ones first."""
    order = kept_bhnn.int().argsort(dim=-1, descending=True, stable=True)
    return kept_bhnn.sum(-1, dtype=torch.int32), order.int()
