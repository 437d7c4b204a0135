"""Executors: how the attention of a layout is computed.

`fold` reshapes the sequence so that a layout becomes dense attention over short sequences, and computes
nothing that the layout drops; it is exact, forward and backward, on any device. `dense_mask` computes full
attention under the layout's mask and serves as the oracle. Tensors are named by their axes: b batch, h head,
t time, d head width, n block, s stride.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from modeling.sparsity import Column, Dense, Layout, Local

Executor = Callable[[Layout, Tensor, Tensor, Tensor], Tensor]


def dense_mask(layout: Layout, q_bhtd: Tensor, k_bhtd: Tensor, v_bhtd: Tensor) -> Tensor:
    """Full attention under the layout's mask, shape (b, h, t, d)."""
    mask = layout.mask(q_bhtd.shape[2]).to(q_bhtd.device)
    return scaled_dot_product_attention(q_bhtd, k_bhtd, v_bhtd, attn_mask=mask)


def fold(layout: Layout, q_bhtd: Tensor, k_bhtd: Tensor, v_bhtd: Tensor) -> Tensor:
    """Attention over only what the layout keeps, shape (b, h, t, d)."""
    match layout:
        case Dense():
            return scaled_dot_product_attention(q_bhtd, k_bhtd, v_bhtd, is_causal=True)
        case Local(block):
            return _fold_local(block, q_bhtd, k_bhtd, v_bhtd)
        case Column(stride):
            return _fold_column(stride, q_bhtd, k_bhtd, v_bhtd)
        case _:
            raise NotImplementedError(f"the fold executor has no way to compute {layout}")


EXECUTORS: dict[str, Executor] = {"fold": fold, "dense_mask": dense_mask}


def _padded(x_bhtd: Tensor, multiple: int) -> Tensor:
    """Zeros behind the end; causality keeps real positions from seeing them."""
    missing = -x_bhtd.shape[2] % multiple
    return pad(x_bhtd, (0, 0, 0, missing)) if missing else x_bhtd


def _fold_local(block: int, q_bhtd: Tensor, k_bhtd: Tensor, v_bhtd: Tensor) -> Tensor:
    """Each block of queries against its own and the previous block of keys."""
    b, h, t, d = q_bhtd.shape
    q, k, v = (_padded(x, block).reshape(b * h, -1, block, d) for x in (q_bhtd, k_bhtd, v_bhtd))
    k, v = (torch.cat([pad(x, (0, 0, 0, 0, 1, 0))[:, :-1], x], dim=2) for x in (k, v))
    mask = _local_mask(q.shape[1], block, q.device)
    out = scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return out.reshape(b, h, -1, d)[:, :, :t]


@lru_cache(maxsize=32)
def _local_mask(blocks: int, block: int, device: torch.device) -> Tensor:
    """Whether a query sees the keys of (previous, own) block, shape (1, n, block, 2·block)."""
    own = torch.ones(block, block, dtype=torch.bool, device=device).tril()
    mask = torch.cat([torch.ones_like(own), own], dim=1).repeat(blocks, 1, 1)
    mask[0, :, :block] = False
    return mask[None]


def _fold_column(stride: int, q_bhtd: Tensor, k_bhtd: Tensor, v_bhtd: Tensor) -> Tensor:
    """Positions of equal remainder form one short sequence: transpose, then dense causal attention."""
    b, h, t, d = q_bhtd.shape

    def columns(x_bhtd: Tensor) -> Tensor:
        return _padded(x_bhtd, stride).reshape(b * h, -1, stride, d).transpose(1, 2)

    out = scaled_dot_product_attention(columns(q_bhtd), columns(k_bhtd), columns(v_bhtd), is_causal=True)
    return out.transpose(1, 2).reshape(b, h, -1, d)[:, :, :t]
