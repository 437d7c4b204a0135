"""Rearrangements that backends share.

Projections give memory in the order (b, t, h, d), of which (b, h, t, d) is a view; what cuts the time into parts does
so in the former order, so that it copies nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def padded(x_bhtd: Tensor, multiple: int) -> Tensor:
    """Zeros behind the end; causality keeps real positions from seeing them."""
    missing = -x_bhtd.shape[2] % multiple
    return pad(x_bhtd, (0, 0, 0, missing)) if missing else x_bhtd


def padded_documents(document_bt: Tensor, multiple: int) -> Tensor:
    """The last document goes on behind the end."""
    missing = -document_bt.shape[1] % multiple
    return torch.cat([document_bt, document_bt[:, -1:].expand(-1, missing)], dim=1) if missing else document_bt


def split_time(x_bhtd: Tensor, size: int) -> Tensor:
    """Parts of `size` positions as a batch, shape (b·n, h, size, d)."""
    h, d = x_bhtd.shape[1], x_bhtd.shape[3]
    return x_bhtd.transpose(1, 2).reshape(-1, size, h, d).transpose(1, 2)


def joined_time(x_bhtd: Tensor, batch: int) -> Tensor:
    """The inverse of `split_time`, shape (b, h, t, d)."""
    h, d = x_bhtd.shape[1], x_bhtd.shape[3]
    return x_bhtd.transpose(1, 2).reshape(batch, -1, h, d).transpose(1, 2)


def cut(x_btx: Tensor, size: int) -> Tensor:
    """Parts of `size` positions, from (b, t, …) to (b, n, size, …)."""
    return x_btx.reshape(x_btx.shape[0], -1, size, *x_btx.shape[2:])


def same_document(query_bt: Tensor, key_bt: Tensor) -> Tensor:
    """Whether query and key are of one document, shape (b, 1, queries, keys)."""
    return (query_bt[:, :, None] == key_bt[:, None])[:, None]
