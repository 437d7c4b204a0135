"""Seams: how well what stays of a piece follows the part that was composed anew, by the network's own loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from modeling.data import collate
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.effects import DRUM, TEMPO
from tokenization.vocabulary import Tokens

SEAM = 16
"""Tokens behind a seam that are looked at."""


@torch.inference_mode()
def seam_losses(model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], events_behind: int) -> list[float]:
    """Return the mean loss in nats of the first SEAM tokens from a seam on, for each of several whole pieces.

    `events_behind`: the events behind the seam, one at least; so many are the last of each piece.
    """
    size, device = model.config.context, model.norm.weight.device
    losses = []
    for tokens in pieces:
        kind = encoding.effects.table.kind[tokens]
        place = int(np.flatnonzero((kind >= TEMPO) & (kind <= DRUM))[-events_behind])
        until = min(place + SEAM, len(tokens))
        start = max(until - size, 0)
        batch, targets = collate([tokens[:until]], [start], size, encoding, [len(tokens)])
        found = model(batch.to(device), targets.to(device), reduce=False)[0]
        # The loss of a token stands at the position before it.
        losses.append(float(found[max(place - start, HEADER) - 1 : until - start - 1].mean()))
    return losses
