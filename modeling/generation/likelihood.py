"""The likelihood of pieces under the network itself: the loss on real ones, and what a critic has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from modeling.data import collate
from modeling.network.loss import IGNORED
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

BATCH = 8
"""Windows in one forward pass."""


def mean_log_likelihoods(
    model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], lengths: Sequence[int], start: int = 0
) -> list[float]:
    """Return the mean log-likelihood of each piece in nats per token; arguments as those of `log_likelihoods`."""
    total, count = log_likelihoods(model, encoding, pieces, lengths, start)
    found: list[float] = (total / np.maximum(count, 1)).tolist()
    return found


@torch.inference_mode()
def log_likelihoods(
    model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], lengths: Sequence[int], start: int = 0
) -> NDArray[np.float64]:
    """Return the log-likelihood of each piece in nats from body token `start` on, and its tokens; shape (2, pieces).

    `lengths`: the tokens of each whole piece, as it is or as it was planned. Every token counts once, in a window that
    begins with the header.
    """
    model.eval()
    size, device = model.config.context, model.norm.weight.device
    body = size + 1 - HEADER
    places = [(n, begin) for n, piece in enumerate(pieces) for begin in range(start, max(len(piece) - HEADER, 1), body)]
    sums = np.zeros((2, len(pieces)))
    for first in range(0, len(places), BATCH):
        own = places[first : first + BATCH]
        cut = [pieces[number][: begin + HEADER + body] for number, begin in own]
        batch, targets = collate(cut, [begin for _, begin in own], size, encoding, [lengths[n] for n, _ in own])
        losses = model(batch.to(device), targets.to(device), reduce=False).double().cpu()
        counts = (targets != IGNORED).sum(1).tolist()
        for (number, _), loss, count in zip(own, losses.sum(1).tolist(), counts):
            sums[:, number] += loss, count
    sums[0] *= -1
    return sums
