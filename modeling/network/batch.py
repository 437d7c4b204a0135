"""A batch of windows, the network's input."""

from __future__ import annotations

import builtins
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

NO_LABEL = -1
"""In place of the id of a label that is not there."""


class Batch(NamedTuple):
    """Tokens of windows and the structure features that they imply; tensors of shape (batch, time).

    Features are those of `tokenization.encodings.structure`. Integers of any size; tokens and time are int32 or int64.
    """

    tokens: Tensor
    time: Tensor
    """Ticks since the start of the piece."""
    chord: Tensor
    """Notes that have started or ended since the last other token, this one included, at most CHORD − 1."""
    part: Tensor
    """Index of the part, of PARTS equal ones, that the token is in."""
    countdown: Tensor
    """Tokens left to the piece's end, at most COUNTDOWN − 1."""
    document: Tensor | None = None
    """Ids that never decrease along a row; attention does not cross documents. None: each row is one document."""
    texture: Tensor | None = None
    """That of `tokenization.encodings.texture`, shape (batch, time, FIELDS); only networks that listen need it."""

    def slice(self, stop: int) -> Batch:
        """Return the first `stop` positions."""
        return Batch(*(None if x is None else x[:, :stop] for x in self))  # type: ignore[arg-type]

    def rows(self, chosen: builtins.slice) -> Batch:
        """Return the windows of a slice."""
        return Batch(*(None if x is None else x[chosen] for x in self))  # type: ignore[arg-type]

    def to(self, device: torch.device) -> Batch:
        """Copy to a device; document ids become 32-bit, as attention reads them."""
        moved = Batch(*(None if x is None else x.to(device, non_blocking=True) for x in self))  # type: ignore[arg-type]
        return moved if moved.document is None else moved._replace(document=moved.document.int())

    def labels(self, positions: Tensor) -> Tensor:
        """Return the ids of each document's first two tokens, its style and its instrumentation, shape (2, batch, time)
        or, where each row is one document, (2, batch, 1).

        `positions`: those of `positions`. A document that ends before its second token has NO_LABEL there.
        """
        tokens, last = self.tokens, self.tokens.shape[1] - 1
        if self.document is None:
            second = tokens[:, 1:2] if last else torch.full_like(tokens, NO_LABEL)
            return torch.stack([tokens[:, :1], second])
        begin = torch.arange(last + 1, device=tokens.device) - positions
        second = (begin + 1).clamp(max=last)
        is_same = self.document.gather(1, second) == self.document.gather(1, begin)
        instrumentation = tokens.gather(1, second).where(is_same & (begin < last), NO_LABEL)
        return torch.stack([tokens.gather(1, begin), instrumentation])

    def positions(self, first: int | Tensor = 0) -> Tensor:
        """Return positions from `first` on, shape (time,), or positions within documents, shape (batch, time)."""
        index = torch.arange(self.tokens.shape[1], device=self.tokens.device) + first
        if self.document is None:
            return index
        begins = self.document[:, 1:] != self.document[:, :-1]
        return index - (pad(begins, (1, 0)) * index).cummax(dim=1).values
