"""Pieces that grow one token at a time, with their structure features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from modeling.network.batch import Batch
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.structure import FIELDS, Features, Stepper
from tokenization.vocabulary import Tokens


class GrowingPieces:
    """The tokens and structure features of a batch of pieces of equal length so far.

    `lengths`: planned tokens of each piece, on which its part and countdown depend. `capacity`: most tokens of any.
    """

    def __init__(self, encoding: Encoding, lengths: NDArray[np.int64], capacity: int) -> None:
        self.lengths = lengths
        self.filled = 0
        """Tokens of each piece so far."""
        self._end = encoding.vocabulary.end
        self._stepper = Stepper(lengths, encoding.effects)
        self._fields: NDArray[np.int64] = np.zeros((FIELDS, len(lengths), capacity), np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def append(self, tokens: NDArray[np.int64]) -> None:
        """Append one token to each piece, shape (pieces,)."""
        step: Features = self._stepper.step(tokens)
        self._fields[:, :, self.filled] = tokens, step.time, step.chord, step.part, step.countdown
        self.filled += 1

    def latest(self) -> Batch:
        """Return the last token of each piece, shape (pieces, 1)."""
        return Batch(*torch.from_numpy(self._fields[:, :, self.filled - 1 : self.filled]))

    def window(self, context: int) -> Batch:
        """Return all tokens or, if they would fill the context, the header and the latest half of a context."""
        recent = self.filled if self.filled < context else context // 2
        where = np.r_[0 : min(HEADER, self.filled), max(HEADER, self.filled - recent) : self.filled]
        return Batch(*torch.from_numpy(self._fields[:, :, where]))

    def tokens(self) -> list[Tokens]:
        """Return the tokens of each piece, up to its `end` or its planned length."""
        out = []
        for row, length in zip(self._fields[0, :, : self.filled], self.lengths):
            ends = np.flatnonzero(row == self._end)
            out.append(row[: ends[0] + 1 if len(ends) else length].astype(np.uint16))
        return out
