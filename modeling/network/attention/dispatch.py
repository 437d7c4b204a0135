"""The attention of a layout by a named backend, and that of a single query over cached keys and values."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from infra.errors import UserError
from modeling.network.attention.dense_mask import dense_mask_attention
from modeling.network.attention.fold import fold_attention
from modeling.network.sparsity import Column, Dense, Halves, Layout

Place = int | Tensor
"""A position; a tensor of shape (1,) on the network's device where the same operations serve every position."""


class BackendError(UserError, ValueError):
    """An unknown backend, or one that the device does not have; the message names one to take instead."""


def attention(
    backend: str, layout: Layout, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None = None
) -> Tensor:
    """Compute attention under a layout, shape (b, h, t, d).

    Query head i uses head i // (h / k) of keys and values. `document_bt` holds ids that never decrease along a row;
    attention does not cross documents. `auto` takes the fastest backend for layout and device. Raises BackendError.
    """
    if backend == "dense_mask":
        return dense_mask_attention(layout, q_bhtd, k_bktd, v_bktd, document_bt)
    if isinstance(layout, Halves):
        return _halves_attention(backend, layout, q_bhtd, k_bktd, v_bktd, document_bt)
    match _resolve(backend, layout, q_bhtd, document_bt):
        case "fold":
            return fold_attention(layout, q_bhtd, k_bktd, v_bktd, document_bt)
        case "flex":
            # Imported here: it brings PyTorch's compiler, which takes seconds.
            from modeling.network.attention.flex import flex_attention

            return flex_attention(layout, q_bhtd, k_bktd, v_bktd, document_bt)
    raise BackendError(f"no backend {backend!r}; there are: auto, fold, flex, dense_mask")


def _resolve(backend: str, layout: Layout, q_bhtd: Tensor, document_bt: Tensor | None) -> str:
    """Return the backend that `auto` stands for. Raises BackendError for one that the device does not have."""
    on_gpu = q_bhtd.device.type == "cuda"
    if backend == "flex" and not on_gpu:
        raise BackendError("backend=flex needs a CUDA device; here take backend=fold")
    if backend != "auto":
        return backend
    folds_well = isinstance(layout, Column) or (isinstance(layout, Dense) and document_bt is None)
    return "flex" if on_gpu and not folds_well else "fold"


def _halves_attention(
    backend: str, layout: Halves, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Compute each half of the heads separately."""
    half, group_size = layout.heads // 2, layout.heads // k_bktd.shape[1]
    outs = []
    for part, first in ((layout.first, 0), (layout.second, half)):
        k, v = (_kv_heads_of(x, first, half, group_size) for x in (k_bktd, v_bktd))
        outs.append(attention(backend, part, q_bhtd[:, first : first + half], k, v, document_bt))
    return torch.cat(outs, dim=1)


def _kv_heads_of(x_bktd: Tensor, first: int, count: int, group_size: int) -> Tensor:
    """Select the heads of keys or values that belong to `count` heads of queries from `first` on."""
    if first % group_size == 0 and count % group_size == 0:
        return x_bktd[:, first // group_size : (first + count) // group_size]
    return x_bktd[:, torch.arange(first, first + count, device=x_bktd.device) // group_size]


def cached_attention(layout: Layout, q_bh1d: Tensor, keys_bktd: Tensor, values_bktd: Tensor, position: Place) -> Tensor:
    """Compute the attention of the single query at `position`, shape (b, h, 1, d).

    Keys and values hold at least position + 1 entries; later ones are not read, but by a position that is a tensor:
    there they are numbers of any value, which weigh nothing.
    """
    grouped = q_bh1d.shape[1] != keys_bktd.shape[1]
    if isinstance(position, Tensor):
        mask = _whole_mask(layout, keys_bktd.shape[2], position.device).index_select(1, position)
        return scaled_dot_product_attention(q_bh1d, keys_bktd, values_bktd, attn_mask=mask[None], enable_gqa=grouped)
    seen = layout.keys(position)
    if isinstance(seen, slice):
        keys, values = keys_bktd[:, :, seen], values_bktd[:, :, seen]
        return scaled_dot_product_attention(q_bh1d, keys, values, enable_gqa=grouped)
    keys, values = keys_bktd[:, :, : position + 1], values_bktd[:, :, : position + 1]
    mask = seen[None, :, None].to(q_bh1d.device)
    return scaled_dot_product_attention(q_bh1d, keys, values, attn_mask=mask, enable_gqa=grouped)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _whole_mask(layout: Layout, length: int, device: torch.device) -> Tensor:
    """Return `layout.mask` on a device."""
    return layout.mask(length).to(device)
