"""The likelihood of pieces under the network itself: what a critic has to beat as a ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from modeling.data import collate
from modeling.network.loss import IGNORED
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

BATCH = 8
"""Windows in one forward pass."""


@torch.inference_mode()
def mean_log_likelihoods(
    model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], lengths: Sequence[int], start: int = 0
) -> list[float]:
    """Return the mean log-likelihood of each piece in nats per token, from body token `start` on.

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
    found: list[float] = (-sums[0] / np.maximum(sums[1], 1)).tolist()
    return found
