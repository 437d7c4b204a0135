"""Collation: windows of pieces to a batch of inputs and next-token targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modeling.data.buffers import Buffers
from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from tokenization.dataset.windows import (
    NO_DOCUMENTS,
    UNCHANGED,
    UNMARKED,
    Inputs,
    Parts,
    lay_out,
    lay_out_texture,
    side_by_side,
)
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.texture import Rules
from tokenization.vocabulary import Tokens


def collate(
    pieces: Sequence[Tokens],
    starts: Sequence[int],
    context: int,
    encoding: Encoding,
    lengths: Sequence[int] | None = None,
) -> tuple[Batch, Tensor]:
    """Build inputs and next-token targets, shape (batch, context), from one window of each piece.

    `starts`: first body token of each window. `lengths`: total tokens of each piece, where it is not given whole.
    Targets are IGNORED in the header and after a piece's end.
    """
    lengths = [len(tokens) for tokens in pieces] if lengths is None else lengths
    tokens, parts = side_by_side(pieces, starts, lengths)
    parts = parts._replace(until=np.full(len(pieces), context), body=np.full(len(pieces), context + 1 - HEADER))
    batch, targets = Buffers().batch((len(pieces), context), pack=False, texture=True)
    fill_batch(tokens, UNMARKED, parts, encoding, batch, targets)
    return batch, targets


def fill_batch(
    tokens: Tokens,
    marks: NDArray[np.int64],
    parts: Parts,
    encoding: Encoding,
    batch: Batch,
    targets: Tensor,
    id_shifts: NDArray[np.int32] = UNCHANGED,
) -> None:
    """Write parts of pieces, their structure features and their targets into a batch, in place.

    `id_shifts`: added to note ids by part and row, see `tokenization.dataset.windows.lay_out`.
    """
    lay_out(
        tokens,
        marks,
        parts,
        HEADER,
        encoding.effects,
        encoding.vocabulary.pad,
        Inputs(*(x.numpy() for x in batch[:5])),
        targets.numpy(),
        IGNORED,
        NO_DOCUMENTS if batch.document is None else batch.document.numpy(),
        id_shifts,
    )
    if batch.texture is not None:
        lay_out_texture(tokens, parts, HEADER, Rules.of(encoding), batch.texture.numpy(), id_shifts)
