"""Block layouts without a formula: the key blocks that queries keep are gathered, then attended to.

Consecutive blocks of queries, a band, share one gathered list of key blocks: those before the band that any of its
rows keeps, then the band's own blocks. Bands that keep as many blocks in the same pattern are computed together, so
that nothing is padded and one small mask serves all of them. Axes: see the package; g band, w key blocks of a band.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from modeling.network.attention.shapes import cut, padded, padded_documents
from modeling.network.sparsity import Blocks

BAND_SIZES = (1, 2, 4, 8)
GATHER_COST = 1.0
"""What gathering a key block costs, in blocks of queries that attend to it."""


@dataclass(frozen=True, eq=False)
class Group:
    """Bands of one pattern."""

    heads: Tensor
    """The head of each band, shape (g,)."""
    bands: Tensor
    """Its place in the sequence, shape (g,)."""
    columns: Tensor
    """The key blocks it sees, shape (g, w)."""
    pattern: Tensor
    """Which of them each of its rows keeps, shape (rows of a band, w), bool."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How the attention of a layout is computed at a length."""

    rows: int
    """Blocks of queries in a band."""
    blocks: int
    """Blocks in the sequence, filled up to whole bands."""
    groups: tuple[Group, ...]
    order: Tensor | None
    """Where each (head, band) is found among those of all groups; None: they are in order."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
@lru_cache(maxsize=64)
@torch.inference_mode(False)  # its tensors outlive the call, and a later backward pass may need them
def plan(layout: Blocks, blocks: int, device: torch.device) -> Plan:
    """The cheapest plan for a sequence of so many blocks."""
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
        groups.append(Group(*(x.to(device) for x in (heads, bands, columns, plans[rows][indices[0]][2]))))
    order = torch.tensor([index for indices in found.values() for index in indices]).argsort()
    in_order = bool((order == torch.arange(len(order))).all())
    return Plan(rows, whole * rows, tuple(groups), None if in_order else order.to(device))


def _bands(layout: Blocks, blocks: int, rows: int) -> list[tuple[int, Tensor, Tensor]]:
    """Of each head and band: the head, the columns, and the pattern, shape (rows, columns)."""
    whole = -(-blocks // rows)
    table = layout.table(whole * rows)
    found = []
    for head in range(layout.heads):
        for band in range(whole):
            first = band * rows
            kept = table[head, first : first + rows, : first + rows]
            earlier = kept[:, :first].sum(0)
            # What all rows keep comes first, so that bands differ in as few patterns as possible.
            columns = torch.cat(
                [
                    (earlier == rows).nonzero()[:, 0],
                    ((earlier > 0) & (earlier < rows)).nonzero()[:, 0],
                    torch.arange(first, first + rows),
                ]
            )
            found.append((head, columns, kept[:, columns]))
    return found


def attend_blocks(layout: Blocks, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    """Attention of a block layout, shape (b, h, t, d)."""
    length = q_bhtd.shape[2]
    made: Plan = plan(layout, -(-length // layout.block), q_bhtd.device)
    size = made.blocks * layout.block
    q, k, v = (padded(x, size) for x in (q_bhtd, k_bktd, v_bktd))
    documents = None if document_bt is None else padded_documents(document_bt, size)
    attended = _each_head if layout.heads > 1 else _all_heads
    return attended(layout.block, made, q, k, v, documents)[:, :, :length]


def _mask(group: Group, block: int) -> Tensor:
    """Whether a band's positions see its gathered ones, shape (rows·block, w·block)."""
    rows, width = group.pattern.shape
    kept = group.pattern.repeat_interleave(block, 0).repeat_interleave(block, 1)
    return kept.tril((width - rows) * block)


def _all_heads(
    block: int, made: Plan, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """All heads keep the same blocks: bands are a batch."""
    b, h, _, d = q_bhtd.shape
    grouped = h != k_bktd.shape[1]
    q = cut(q_bhtd.transpose(1, 2), made.rows * block)
    k, v = (cut(x.transpose(1, 2), block) for x in (k_bktd, v_bktd))

    def gathered(x: Tensor, index: Tensor) -> Tensor:
        """Blocks, shape (b, n, block, …), that bands see, shape (b·g, w·block, …)."""
        return x.index_select(1, index.flatten()).reshape(b * len(index), -1, *x.shape[3:])

    parts = []
    for group in made.groups:
        mask = _mask(group, block)
        if document_bt is not None:
            own = gathered(cut(document_bt, made.rows * block), group.bands[:, None])
            seen = gathered(cut(document_bt, block), group.columns)
            mask = mask & (own[:, :, None] == seen[:, None])[:, None]
        q_band = gathered(q, group.bands[:, None]).transpose(1, 2)
        k_band, v_band = (gathered(x, group.columns).transpose(1, 2) for x in (k, v))
        out = scaled_dot_product_attention(q_band, k_band, v_band, attn_mask=mask, enable_gqa=grouped)
        parts.append(out.transpose(1, 2).reshape(b, -1, made.rows * block, h, d))
    out = torch.cat(parts, dim=1)
    if made.order is not None:
        out = out.index_select(1, made.order)
    return out.flatten(1, 2).transpose(1, 2)


def _each_head(
    block: int, made: Plan, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Heads keep different blocks: the bands of all heads are the heads of one attention."""
    b, h, _, d = q_bhtd.shape
    groups = h // k_bktd.shape[1]
    bands = made.blocks // made.rows
    q = q_bhtd.reshape(b, h * bands, made.rows * block, d)
    k, v = (x.reshape(b, -1, block, d) for x in (k_bktd, v_bktd))
    parts = []
    for group in made.groups:
        mask = _mask(group, block)
        if document_bt is not None:
            own = cut(document_bt, made.rows * block).index_select(1, group.bands)
            seen = cut(document_bt, block).index_select(1, group.columns.flatten())
            mask = mask & (own[..., None] == seen.reshape(b, len(group.bands), 1, -1))
        columns = (group.heads[:, None] // groups * made.blocks + group.columns).flatten()
        q_band = q.index_select(1, group.heads * bands + group.bands)
        k_band, v_band = (x.index_select(1, columns).reshape(b, len(group.bands), -1, d) for x in (k, v))
        parts.append(scaled_dot_product_attention(q_band, k_band, v_band, attn_mask=mask))
    out = torch.cat(parts, dim=1)
    if made.order is not None:
        out = out.index_select(1, made.order)
    return out.reshape(b, h, -1, d)
