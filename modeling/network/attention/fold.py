"""Attention over only what a layout keeps, with stock operations.

The sequence is rearranged so that a layout becomes dense attention over short sequences: exact, forward and backward,
on any device. Documents fold in the same way. Axes: see the package.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from modeling.network.attention.shapes import cut, joined_time, padded, padded_documents, same_document, split_time
from modeling.network.sparsity import Blocks, Column, Dense, Layout, Local, Window


def attend_fold(layout: Layout, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    """Attention of a layout, shape (b, h, t, d)."""
    length = q_bhtd.shape[2]
    match layout:
        case Dense():
            return _causal(q_bhtd, k_bktd, v_bktd, document_bt)
        case Window(block):
            return _window(min(block, length), q_bhtd, k_bktd, v_bktd, document_bt)
        case Local(block, before):
            if length <= block * (before + 1):
                return _causal(q_bhtd, k_bktd, v_bktd, document_bt)
            return _local(block, before, q_bhtd, k_bktd, v_bktd, document_bt)
        case Column(stride):
            return _column(min(stride, length), q_bhtd, k_bktd, v_bktd, document_bt)
        case Blocks():
            from modeling.network.attention.gather import attend_blocks  # brings PyTorch's compiler, seconds to import

            return attend_blocks(layout, q_bhtd, k_bktd, v_bktd, document_bt)
    raise NotImplementedError(f"the fold backend has no way to compute {layout}")


def _causal(q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    grouped = q_bhtd.shape[1] != k_bktd.shape[1]
    if document_bt is None:
        return scaled_dot_product_attention(q_bhtd, k_bktd, v_bktd, is_causal=True, enable_gqa=grouped)
    mask = same_document(document_bt, document_bt).tril()
    return scaled_dot_product_attention(q_bhtd, k_bktd, v_bktd, attn_mask=mask, enable_gqa=grouped)


def _window(size: int, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    """Windows are a batch of short sequences."""
    b, _, t, _ = q_bhtd.shape
    q, k, v = (split_time(padded(x, size), size) for x in (q_bhtd, k_bktd, v_bktd))
    documents = None if document_bt is None else padded_documents(document_bt, size).reshape(-1, size)
    return joined_time(_causal(q, k, v, documents), b)[:, :, :t]


def _local(
    block: int, before: int, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """The first `before` blocks see all that is earlier; each later one its own and the `before` blocks before it."""
    b, _, t, _ = q_bhtd.shape
    grouped = q_bhtd.shape[1] != k_bktd.shape[1]
    head = before * block

    def windows(x_bntx: Tensor) -> Tensor:
        """For each later block the keys it may see; from (b, n, block, …) to (b·n, (before + 1)·block, …)."""
        later = x_bntx.shape[1] - before
        parts = [x_bntx[:, start : start + later] for start in range(before + 1)]
        return torch.cat(parts, dim=2).flatten(0, 1)

    documents = None if document_bt is None else padded_documents(document_bt, block)
    q, k, v = (padded(x, block) for x in (q_bhtd, k_bktd, v_bktd))
    first = _causal(q[:, :, :head], k[:, :, :head], v[:, :, :head], None if documents is None else documents[:, :head])
    k_windows, v_windows = (windows(cut(x.transpose(1, 2), block)).transpose(1, 2) for x in (k, v))
    mask = torch.ones(block, head + block, dtype=torch.bool, device=q.device).tril(head)
    if documents is not None:
        own = documents[:, head:].reshape(-1, block)
        mask = mask & same_document(own, windows(cut(documents, block)))
    later = scaled_dot_product_attention(
        split_time(q[:, :, head:], block), k_windows, v_windows, attn_mask=mask, enable_gqa=grouped
    )
    out = torch.cat([first.transpose(1, 2), joined_time(later, b).transpose(1, 2)], dim=1)
    return out.transpose(1, 2)[:, :, :t]


def _column(stride: int, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None) -> Tensor:
    """Positions of equal remainder are one short sequence: transpose, then dense causal attention."""
    b, h, t, d = q_bhtd.shape
    if document_bt is None:
        q, k, v = (columns_as_heads(x, stride) for x in (q_bhtd, k_bktd, v_bktd))
        out = _causal(q, k, v, None)
        return out.transpose(1, 2).reshape(b, -1, h, d).transpose(1, 2)[:, :, :t]
    q, k, v = (columns_as_batch(x, stride) for x in (q_bhtd, k_bktd, v_bktd))
    documents = document_columns(document_bt, stride)
    return columns_joined(_causal(q, k, v, documents), b, stride)[:, :, :t]


def columns_as_heads(x_bhtd: Tensor, stride: int) -> Tensor:
    """Each column and head as a head, shape (b, s·h, t / s, d): a view where memory lies in order of time."""
    b, h, _, d = x_bhtd.shape
    return padded(x_bhtd, stride).transpose(1, 2).reshape(b, -1, stride * h, d).transpose(1, 2)


def columns_as_batch(x_bhtd: Tensor, stride: int) -> Tensor:
    """Each column as a sequence of the batch, shape (b·s, h, t / s, d), so that heads share what columns do not."""
    columns = cut(padded(x_bhtd, stride).transpose(1, 2), stride)
    return columns.transpose(1, 2).flatten(0, 1).transpose(1, 2)


def columns_joined(x_bhtd: Tensor, batch: int, stride: int) -> Tensor:
    """The inverse of `columns_as_batch`, shape (b, h, t, d)."""
    h, d = x_bhtd.shape[1], x_bhtd.shape[3]
    columns = x_bhtd.transpose(1, 2).reshape(batch, stride, -1, h, d)
    return columns.transpose(1, 2).flatten(1, 2).transpose(1, 2)


def document_columns(document_bt: Tensor, stride: int) -> Tensor:
    """The documents of `columns_as_batch`, shape (b·s, t / s)."""
    return cut(padded_documents(document_bt, stride), stride).transpose(1, 2).flatten(0, 1)
