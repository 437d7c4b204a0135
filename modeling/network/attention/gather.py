"""The `fold` backend for block layouts without a formula: the key blocks that queries keep are gathered.

Consecutive blocks of queries, a band, share one gathered list of key blocks: the earlier ones that any of the band's
rows keeps, then the band's own. Bands with equally many key blocks in the same pattern are computed together, so that
nothing is padded and one small mask serves all of them. Axes: see the package; g band, w key blocks of a band.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from modeling.network.attention.rearrange import pad_documents, pad_time, split_blocks
from modeling.network.sparsity import Blocks

BAND_SIZES = (1, 2, 4, 8)
GATHER_COST = 1.0
"""Cost of gathering a key block, in units of one block of queries attending to it."""


@dataclass(frozen=True, eq=False)
class BandGroup:
    """Bands with the same pattern of key blocks."""

    heads: Tensor
    """The head of each band, shape (g,)."""
    bands: Tensor
    """The index of each band in the sequence, shape (g,)."""
    columns: Tensor
    """The key blocks of each band, shape (g, w)."""
    pattern: Tensor
    """True for the key blocks that each row of a band keeps, shape (rows of a band, w), bool."""


@dataclass(frozen=True, eq=False)
class GatherPlan:
    """The bands by which the attention of a layout is computed at a length."""

    rows: int
    """Blocks of queries in a band."""
    blocks: int
    """Blocks in the sequence, padded to whole bands."""
    groups: tuple[BandGroup, ...]
    order: Tensor | None
    """Index of each (head, band) in the concatenated groups. None: they are in order."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
@lru_cache(maxsize=64)
@torch.inference_mode(False)  # the tensors outlive the call, and a later backward pass may need them
def make_plan(layout: Blocks, blocks: int, device: torch.device) -> GatherPlan:
    """Return the cheapest plan for a sequence of `blocks` blocks."""
    plans = {rows: _bands(layout, blocks, rows) for rows in BAND_SIZES if rows == 1 or rows < blocks}
    rows = min(plans, key=lambda rows: sum(len(columns) for _, columns, _ in plans[rows]) * (rows + GATHER_COST))
    whole = -(-blocks // rows)
    found: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, (_, columns, pattern) in enumerate(plans[rows]):
        found[len(columns), pattern.numpy().tobytes()].append(index)
    groups = []
    for indices in found.values():
        heads, bands = torch.tensor(indices) // whole, torch.tensor(indices) % whole
        columns = torch.stack([plans[rows][index][1] for index in indices])
        groups.append(BandGroup(*(x.to(device) for x in (heads, bands, columns, plans[rows][indices[0]][2]))))
    order = torch.tensor([index for indices in found.values() for index in indices]).argsort()
    in_order = bool((order == torch.arange(len(order))).all())
    return GatherPlan(rows, whole * rows, tuple(groups), None if in_order else order.to(device))


def _bands(layout: Blocks, blocks: int, rows: int) -> list[tuple[int, Tensor, Tensor]]:
    """Return the head, the key blocks and the pattern, shape (rows, key blocks), of each head and band."""
    whole = -(-blocks // rows)
    table = layout.table(whole * rows)
    found = []
    for head in range(layout.heads):
        for band in range(whole):
            first = band * rows
            kept = table[head, first : first + rows, : first + rows]
            earlier = kept[:, :first].sum(0)
            # Blocks that all rows keep come first, so that there are as few patterns as possible.
            columns = torch.cat(
                [
                    (earlier == rows).nonzero()[:, 0],
                    ((earlier > 0) & (earlier < rows)).nonzero()[:, 0],
                    torch.arange(first, first + rows),
                ]
            )
            found.append((head, columns, kept[:, columns]))
    return found


def gather_attention(
    layout: Blocks, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Compute attention under a block layout, shape (b, h, t, d)."""
    length = q_bhtd.shape[2]
    plan: GatherPlan = make_plan(layout, -(-length // layout.block), q_bhtd.device)
    size = plan.blocks * layout.block
    q, k, v = (pad_time(x, size) for x in (q_bhtd, k_bktd, v_bktd))
    documents = None if document_bt is None else pad_documents(document_bt, size)
    compute = _separate_heads if layout.heads > 1 else _shared_heads
    return compute(layout.block, plan, q, k, v, documents)[:, :, :length]


def _mask(group: BandGroup, block: int) -> Tensor:
    """Return the mask of a band's positions and its gathered keys, shape (rows·block, w·block), bool."""
    rows, width = group.pattern.shape
    kept = group.pattern.repeat_interleave(block, 0).repeat_interleave(block, 1)
    return kept.tril((width - rows) * block)


def _shared_heads(
    block: int, plan: GatherPlan, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Compute a layout that all heads share: bands become a batch."""
    b, h, _, d = q_bhtd.shape
    grouped = h != k_bktd.shape[1]
    q = split_blocks(q_bhtd.transpose(1, 2), plan.rows * block)
    k, v = (split_blocks(x.transpose(1, 2), block) for x in (k_bktd, v_bktd))

    def gather(x: Tensor, index: Tensor) -> Tensor:
        """Gather the blocks of bands, from (b, n, block, …) to (b·g, w·block, …)."""
        return x.index_select(1, index.flatten()).reshape(b * len(index), -1, *x.shape[3:])

    parts = []
    for group in plan.groups:
        mask = _mask(group, block)
        if document_bt is not None:
            own = gather(split_blocks(document_bt, plan.rows * block), group.bands[:, None])
            seen = gather(split_blocks(document_bt, block), group.columns)
            mask = mask & (own[:, :, None] == seen[:, None])[:, None]
        q_band = gather(q, group.bands[:, None]).transpose(1, 2)
        k_band, v_band = (gather(x, group.columns).transpose(1, 2) for x in (k, v))
        out = scaled_dot_product_attention(q_band, k_band, v_band, attn_mask=mask, enable_gqa=grouped)
        parts.append(out.transpose(1, 2).reshape(b, -1, plan.rows * block, h, d))
    out = torch.cat(parts, dim=1)
    if plan.order is not None:
        out = out.index_select(1, plan.order)
    return out.flatten(1, 2).transpose(1, 2)


def _separate_heads(
    block: int, plan: GatherPlan, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Compute a layout that differs by head: the bands of all heads become the heads of one attention."""
    b, h, _, d = q_bhtd.shape
    group_size = h // k_bktd.shape[1]
    bands = plan.blocks // plan.rows
    q = q_bhtd.reshape(b, h * bands, plan.rows * block, d)
    k, v = (x.reshape(b, -1, block, d) for x in (k_bktd, v_bktd))
    parts = []
    for group in plan.groups:
        mask = _mask(group, block)
        if document_bt is not None:
            own = split_blocks(document_bt, plan.rows * block).index_select(1, group.bands)
            seen = split_blocks(document_bt, block).index_select(1, group.columns.flatten())
            mask = mask & (own[..., None] == seen.reshape(b, len(group.bands), 1, -1))
        columns = (group.heads[:, None] // group_size * plan.blocks + group.columns).flatten()
        q_band = q.index_select(1, group.heads * bands + group.bands)
        k_band, v_band = (x.index_select(1, columns).reshape(b, len(group.bands), -1, d) for x in (k, v))
        parts.append(scaled_dot_product_attention(q_band, k_band, v_band, attn_mask=mask))
    out = torch.cat(parts, dim=1)
    if plan.order is not None:
        out = out.index_select(1, plan.order)
    return out.reshape(b, h, -1, d)
