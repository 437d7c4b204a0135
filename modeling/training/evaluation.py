"""Held-out figures: nats per token and per note, in all and by style."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modeling.data import Split, collate, epoch_windows
from modeling.network.loss import IGNORED
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

NO_STYLE = "(none)"


@dataclass(frozen=True)
class HeldOut:
    """Loss on a split."""

    nats_per_token: float
    nats_per_note: float
    """The loss of all tokens divided by the number of notes that start in them: comparable between encodings."""
    tokens: int
    by_style: dict[str, float]
    """Nats per token of each style."""


def _alone(sums: Tensor) -> None:
    """One rank has all the sums."""


@torch.no_grad()
def evaluate(
    model: MuseNet,
    split: Split,
    context: int,
    batch_size: int,
    limit: int | None = 64,
    rank: int = 0,
    ranks: int = 1,
    add_up: Callable[[Tensor], None] = _alone,
) -> HeldOut:
    """Loss over up to `limit` windows of a split (None: all), always the same ones.

    Collective: each of the `ranks` computes its share, equally many batches (sharded weights are gathered by all
    ranks together), and `add_up` sums a tensor over ranks, in place.
    """
    was_training = model.training
    model.eval()
    windows = epoch_windows(split.sizes, context + 1 - HEADER, seed=0, epoch=0)
    count = len(windows) if limit is None else min(limit, len(windows))
    onsets = torch.from_numpy(split.encoding.effects.onsets)
    names = sorted({style or NO_STYLE for style in split.styles})
    number = {name: index for index, name in enumerate(names)}
    device = next(model.parameters()).device
    # Row 0: all, then the styles; loss, tokens, notes.
    sums = torch.zeros(1 + len(names), 3, dtype=torch.float64)
    batches = -(-count // batch_size)
    for index in range(rank, -(-batches // ranks) * ranks, ranks):
        mine = np.arange(index * batch_size, min((index + 1) * batch_size, count))
        shown = mine if len(mine) else np.arange(1)  # a rank without a share computes a window that does not count
        pieces = [split.pieces[piece] for piece in windows.piece[shown]]
        batch, targets = collate(pieces, windows.start[shown].tolist(), context, split.encoding)
        losses = model(batch.to(device), targets.to(device), reduce=False).cpu().double()
        for row, window in enumerate(mine):
            counted = targets[row] != IGNORED
            heard = onsets[targets[row][counted]].sum()
            found = torch.stack([losses[row].sum(), counted.sum().double(), heard.double()])
            sums[0] += found
            sums[1 + number[split.styles[windows.piece[window]] or NO_STYLE]] += found
    model.train(was_training)
    add_up(sums)
    loss, tokens, notes = sums[0].tolist()
    return HeldOut(
        nats_per_token=loss / max(tokens, 1),
        nats_per_note=loss / max(notes, 1),
        tokens=int(tokens),
        by_style={name: float(sums[1 + i, 0] / sums[1 + i, 1]) for i, name in enumerate(names) if sums[1 + i, 1] > 0},
    )
