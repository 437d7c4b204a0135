"""Windows of pieces as a critic hears them, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modeling.data import collate
from modeling.network.batch import Batch
from modeling.network.loss import UNHEARD, UNLABELLED
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

BATCH = 16
"""Windows in one forward pass."""
LEAST_HEARD = 12
"""Tokens behind the header that a critic has heard where it is first asked."""


@dataclass(frozen=True)
class Window:
    """A window of a piece: its header, and its body from a token on."""

    tokens: Tokens
    """Of the piece from its header on, up to the window's end or further."""
    start: int
    """First body token."""
    length: int
    """Tokens of the whole piece, as it is or as it was planned."""
    is_real: bool = True
    judged_from: int = 0
    """Index in the piece of the first token that the label is about; those before are real, whatever it says."""


def batch_of(windows: Sequence[Window], size: int, encoding: Encoding) -> tuple[Batch, Tensor]:
    """Return windows of `size` tokens as inputs, and which positions hold music, shape (windows, size)."""
    cut = [window.tokens[: window.start + size] for window in windows]
    starts, lengths = [window.start for window in windows], [window.length for window in windows]
    batch, _ = collate(cut, starts, size, encoding, lengths)
    return batch, batch.tokens != encoding.vocabulary.pad


def labels_of(windows: Sequence[Window], music: Tensor) -> Tensor:
    """Return 1 where what was heard is real, 0 where it is not, shape (windows, size).

    Positions that are not judged are UNLABELLED, padding is UNHEARD.
    """
    position = torch.arange(music.shape[1])
    first = [max(HEADER + LEAST_HEARD, window.judged_from - window.start) for window in windows]
    is_judged = music & (position >= torch.tensor(first)[:, None])
    real = torch.tensor([float(window.is_real) for window in windows])[:, None]
    return torch.where(is_judged, real, torch.where(music, UNLABELLED, UNHEARD))
