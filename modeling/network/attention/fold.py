"""The `fold` backend: attention over only what a layout keeps, with stock operations.

The sequence is rearranged ("folded") so that a layout becomes dense attention over short sequences: exact, forward and
backward, on any device. Document ids are folded in the same way. Axes: see the package.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from modeling.network.attention.rearrange import (
    join_time,
    pad_documents,
    pad_time,
    same_document,
    split_blocks,
    split_time,
)
from modeling.network.sparsity import BlockDiagonal, Blocks, Column, Dense, Layout, Local


def fold_attention(
    layout: Layout, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Compute attention under a layout, shape (b, h, t, d)."""
    length = q_bhtd.shape[2]
    match layout:
        case Dense():
            return _causal(q_bhtd, k_bktd, v_bktd, document_bt)
        case BlockDiagonal(block):
            return _block_diagonal(min(block, length), q_bhtd, k_bktd, v_bktd, document_bt)
        case Local(block, before):
            if length <= block * (before + 1):
                return _causal(q_bhtd, k_bktd, v_bktd, document_bt)
            return _local(block, before, q_bhtd, k_bktd, v_bktd, document_bt)
        case Column(stride):
            return _column(min(stride, length), q_bhtd, k_bktd, v_bktd, document_bt)
        case Blocks():
            # Imported here: it brings PyTorch's compiler, which takes seconds.
            from modeling.network.attention.gather import gather_attention

            return gather_attention(layout, q_bhtd, k_bktd, v_bktd, document_bt)
    raise NotImplementedError(f"the fold backend cannot compute {layout}")


def _causal(q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    grouped = q_bhtd.shape[1] != k_bktd.shape[1]
    if document_bt is None:
        return scaled_dot_product_attention(q_bhtd, k_bktd, v_bktd, is_causal=True, enable_gqa=grouped)
    mask = same_document(document_bt, document_bt).tril()
    return scaled_dot_product_attention(q_bhtd, k_bktd, v_bktd, attn_mask=mask, enable_gqa=grouped)


def _block_diagonal(size: int, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    """Compute blocks that attend only to themselves, as a batch of short sequences."""
    b, _, t, _ = q_bhtd.shape
    q, k, v = (split_time(pad_time(x, size), size) for x in (q_bhtd, k_bktd, v_bktd))
    documents = None if document_bt is None else pad_documents(document_bt, size).reshape(-1, size)
    return join_time(_causal(q, k, v, documents), b)[:, :, :t]


def _local(
    block: int, before: int, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Compute a sliding window: the first `before` blocks attend to all that is earlier, each later one to itself and
    to the `before` blocks that precede it."""
    b, _, t, _ = q_bhtd.shape
    grouped = q_bhtd.shape[1] != k_bktd.shape[1]
    head = before * block

    def windows(x_bntx: Tensor) -> Tensor:
        """Gather the keys of each later block, from (b, n, block, …) to (b·n, (before + 1)·block, …)."""
        later = x_bntx.shape[1] - before
        parts = [x_bntx[:, start : start + later] for start in range(before + 1)]
        return torch.cat(parts, dim=2).flatten(0, 1)

    documents = None if document_bt is None else pad_documents(document_bt, block)
    q, k, v = (pad_time(x, block) for x in (q_bhtd, k_bktd, v_bktd))
    first = _causal(q[:, :, :head], k[:, :, :head], v[:, :, :head], None if documents is None else documents[:, :head])
    k_windows, v_windows = (windows(split_blocks(x.transpose(1, 2), block)).transpose(1, 2) for x in (k, v))
    mask = torch.ones(block, head + block, dtype=torch.bool, device=q.device).tril(head)
    if documents is not None:
        own = documents[:, head:].reshape(-1, block)
        mask = mask & same_document(own, windows(split_blocks(documents, block)))
    later = scaled_dot_product_attention(
        split_time(q[:, :, head:], block), k_windows, v_windows, attn_mask=mask, enable_gqa=grouped
    )
    out = torch.cat([first.transpose(1, 2), join_time(later, b).transpose(1, 2)], dim=1)
    return out.transpose(1, 2)[:, :, :t]


def _column(stride: int, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    """Compute positions of equal remainder as one short sequence: transpose, then dense causal attention."""
    b, h, t, d = q_bhtd.shape
    if document_bt is None:
        q, k, v = (columns_as_heads(x, stride) for x in (q_bhtd, k_bktd, v_bktd))
        out = _causal(q, k, v, None)
        return out.transpose(1, 2).reshape(b, -1, h, d).transpose(1, 2)[:, :, :t]
    q, k, v = (columns_as_batch(x, stride) for x in (q_bhtd, k_bktd, v_bktd))
    documents = document_columns(document_bt, stride)
    return join_columns(_causal(q, k, v, documents), b, stride)[:, :, :t]


def columns_as_heads(x_bhtd: Tensor, stride: int) -> Tensor:
    """Make each column and head a head, shape (b, s·h, t / s, d): a view where memory is in order of time."""
    b, h, _, d = x_bhtd.shape
    return pad_time(x_bhtd, stride).transpose(1, 2).reshape(b, -1, stride * h, d).transpose(1, 2)


def columns_as_batch(x_bhtd: Tensor, stride: int) -> Tensor:
    """Make each column a sequence of the batch, shape (b·s, h, t / s, d), for masks that columns do not share."""
    columns = split_blocks(pad_time(x_bhtd, stride).transpose(1, 2), stride)
    return columns.transpose(1, 2).flatten(0, 1).transpose(1, 2)


def join_columns(x_bhtd: Tensor, batch: int, stride: int) -> Tensor:
    """Invert `columns_as_batch`, shape (b, h, t, d)."""
    h, d = x_bhtd.shape[1], x_bhtd.shape[3]
    columns = x_bhtd.transpose(1, 2).reshape(batch, stride, -1, h, d)
    return columns.transpose(1, 2).flatten(1, 2).transpose(1, 2)


def document_columns(document_bt: Tensor, stride: int) -> Tensor:
    """Rearrange document ids as `columns_as_batch` does, shape (b·s, t / s)."""
    return split_blocks(pad_documents(document_bt, stride), stride).transpose(1, 2).flatten(0, 1)
