"""Windows of pieces through the network, and their scores by a critic."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from modeling.criticism.head import CriticHead
from modeling.data import collate
from modeling.network.transformer import MuseNet
from tokenization.encodings import Encoding
from tokenization.vocabulary import Tokens

BATCH = 16
"""Windows in one forward pass."""


@torch.inference_mode()
def window_states(
    model: MuseNet,
    encoding: Encoding,
    pieces: Sequence[Tokens],
    lengths: Sequence[int],
    size: int,
    start: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return the network's states over windows of `size` tokens, and the mask of positions that hold music.

    A window is a piece's header and its body from token `start` on. `lengths`: the tokens of each whole piece, as it
    is or as it was planned. Shapes (pieces, size, d_model) and (pieces, size).
    """
    model.eval()
    device = model.norm.weight.device
    states, music = [], []
    for first in range(0, len(pieces), BATCH):
        cut = [tokens[: start + size] for tokens in pieces[first : first + BATCH]]
        batch, _ = collate(cut, [start] * len(cut), size, encoding, lengths[first : first + BATCH])
        states.append(model.states(batch.to(device)))
        music.append((batch.tokens != encoding.vocabulary.pad).to(device))
    return torch.cat(states), torch.cat(music)


@torch.inference_mode()
def score(
    model: MuseNet,
    head: CriticHead,
    encoding: Encoding,
    pieces: Sequence[Tokens],
    lengths: Sequence[int],
    size: int,
    start: int = 0,
) -> list[float]:
    """Return the critic's probability that each piece is real, from its window at body token `start`."""
    states, music = window_states(model, encoding, pieces, lengths, size, start)
    probabilities: list[float] = head(states, music).sigmoid().tolist()
    return probabilities
