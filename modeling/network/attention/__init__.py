"""Backends: how the attention of a layout is computed.

`fold` computes only what the layout keeps, with stock operations on any device; `flex` compiles a kernel for it (CUDA);
`dense_mask` masks full attention and is the oracle. All are exact, forward and backward, respect documents, and take
fewer heads of keys and values than of queries (grouped queries). Tensors are named by their axes: b batch, h head,
k head of keys and values, t time, d head width, n block, r row of blocks, w width of a row, s stride.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from infra.errors import UserError
from modeling.network.attention.fold import attend_fold
from modeling.network.attention.oracle import attend_dense_mask
from modeling.network.sparsity import Column, Dense, Halves, Layout

__all__ = ["BackendError", "attend", "attend_cached"]


class BackendError(UserError, ValueError):
    """A backend that does not exist, or not on this device; the message says what to take instead."""


def attend(
    backend: str, layout: Layout, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None = None
) -> Tensor:
    """Attention under a layout, shape (b, h, t, d).

    Query head i uses head i // (h / k) of keys and values. `document_bt` holds ids that never fall along a row:
    positions see only their own document. `auto` takes the fastest backend for layout and device. Raises
    BackendError.
    """
    if backend == "dense_mask":
        return attend_dense_mask(layout, q_bhtd, k_bktd, v_bktd, document_bt)
    if isinstance(layout, Halves):
        return _halves(backend, layout, q_bhtd, k_bktd, v_bktd, document_bt)
    match _resolved(backend, layout, q_bhtd, document_bt):
        case "fold":
            return attend_fold(layout, q_bhtd, k_bktd, v_bktd, document_bt)
        case "flex":
            from modeling.network.attention.flex import attend_flex  # brings PyTorch's compiler, seconds to import

            return attend_flex(layout, q_bhtd, k_bktd, v_bktd, document_bt)
    raise BackendError(f"no backend {backend!r}; there are: auto, fold, flex, dense_mask")


def _resolved(backend: str, layout: Layout, q_bhtd: Tensor, document_bt: Tensor | None) -> str:
    """The backend that `auto` stands for. Raises BackendError for one that the device does not have."""
    on_gpu = q_bhtd.device.type == "cuda"
    if backend == "flex" and not on_gpu:
        raise BackendError("backend=flex needs a CUDA device; here take backend=fold")
    if backend != "auto":
        return backend
    folds_well = isinstance(layout, Column) or (isinstance(layout, Dense) and document_bt is None)
    return "flex" if on_gpu and not folds_well else "fold"


def _halves(
    backend: str, layout: Halves, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Each half of the heads on its own."""
    half, groups = layout.heads // 2, layout.heads // k_bktd.shape[1]
    outs = []
    for part, first in ((layout.first, 0), (layout.second, half)):
        k, v = (_serving(x, first, half, groups) for x in (k_bktd, v_bktd))
        outs.append(attend(backend, part, q_bhtd[:, first : first + half], k, v, document_bt))
    return torch.cat(outs, dim=1)


def _serving(x_bktd: Tensor, first: int, count: int, groups: int) -> Tensor:
    """The heads of keys or values that serve `count` heads of queries from `first` on."""
    if first % groups == 0 and count % groups == 0:
        return x_bktd[:, first // groups : (first + count) // groups]
    return x_bktd[:, torch.arange(first, first + count, device=x_bktd.device) // groups]


def attend_cached(layout: Layout, q_bh1d: Tensor, keys_bktd: Tensor, values_bktd: Tensor, position: int) -> Tensor:
    """Attention of the single query at `position`, shape (b, h, 1, d).

    Keys and values hold at least position + 1 entries; what is behind them is not read.
    """
    seen = layout.keys(position)
    grouped = q_bh1d.shape[1] != keys_bktd.shape[1]
    if isinstance(seen, slice):
        keys, values = keys_bktd[:, :, seen], values_bktd[:, :, seen]
        return scaled_dot_product_attention(q_bh1d, keys, values, enable_gqa=grouped)
    keys, values = keys_bktd[:, :, : position + 1], values_bktd[:, :, : position + 1]
    mask = seen[None, :, None].to(q_bh1d.device)
    return scaled_dot_product_attention(q_bh1d, keys, values, attn_mask=mask, enable_gqa=grouped)
