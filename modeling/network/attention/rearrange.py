"""Rearrangements of the time axis that backends share.

Projections lay memory out as (b, t, h, d), of which (b, h, t, d) is a view; time is split in the former order, so that
nothing is copied.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def pad_time(x_bhtd: Tensor, multiple: int) -> Tensor:
    """Append zeros up to a multiple of positions; causality keeps real positions from attending to them."""
    missing = -x_bhtd.shape[2] % multiple
    return pad(x_bhtd, (0, 0, 0, missing)) if missing else x_bhtd


def pad_documents(document_bt: Tensor, multiple: int) -> Tensor:
    """Repeat the last document's id up to a multiple of positions."""
    missing = -document_bt.shape[1] % multiple
    return torch.cat([document_bt, document_bt[:, -1:].expand(-1, missing)], dim=1) if missing else document_bt


def split_time(x_bhtd: Tensor, size: int) -> Tensor:
    """Move blocks of `size` positions to the batch, shape (b·n, h, size, d)."""
    h, d = x_bhtd.shape[1], x_bhtd.shape[3]
    return x_bhtd.transpose(1, 2).reshape(-1, size, h, d).transpose(1, 2)


def join_time(x_bhtd: Tensor, batch: int) -> Tensor:
    """Invert `split_time`, shape (b, h, t, d)."""
    h, d = x_bhtd.shape[1], x_bhtd.shape[3]
    return x_bhtd.transpose(1, 2).reshape(batch, -1, h, d).transpose(1, 2)


def split_blocks(x_btx: Tensor, size: int) -> Tensor:
    """Split the second axis into blocks of `size` positions, from (b, t, …) to (b, n, size, …)."""
    return x_btx.reshape(x_btx.shape[0], -1, size, *x_btx.shape[2:])


def same_document(query_bt: Tensor, key_bt: Tensor) -> Tensor:
    """Return the mask of pairs of query and key in one document, shape (b, 1, queries, keys), bool."""
    return (query_bt[:, :, None] == key_bt[:, None])[:, None]
