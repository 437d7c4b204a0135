"""Evaluation: the loss on a split, in nats per token and per note, in total and by style."""

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
"""Name of the pieces without a style."""


@dataclass(frozen=True)
class EvalMetrics:
    """The loss on a split."""

    nats_per_token: float
    nats_per_note: float
    """The loss of all tokens divided by the number of notes that start in them: comparable between encodings."""
    tokens: int
    by_style: dict[str, float]
    """Nats per token by style."""


def _one_rank(sums: Tensor) -> None:
    """Leave the sums as they are: a single rank has them all."""


@torch.no_grad()
def evaluate(
    model: MuseNet,
    split: Split,
    context: int,
    batch_size: int,
    limit: int | None = 64,
    rank: int = 0,
    world_size: int = 1,
    all_reduce: Callable[[Tensor], None] = _one_rank,
) -> EvalMetrics:
    """Compute the loss over up to `limit` windows of a split (None: all), always the same ones.

    Collective: each of the `world_size` ranks computes its share in the same number of batches (ZeRO-3 gathers weights
    on all ranks together), and `all_reduce` sums a tensor over the ranks, in place.
    """
    was_training = model.training
    model.eval()
    windows = epoch_windows(split.sizes, context + 1 - HEADER, seed=0, epoch=0)
    count = len(windows) if limit is None else min(limit, len(windows))
    onsets = torch.from_numpy(split.encoding.effects.onsets)
    names = sorted({style or NO_STYLE for style in split.styles})
    number = {name: index for index, name in enumerate(names)}
    device = next(model.parameters()).device
    # Row 0: all windows, then one row per style; columns: loss, tokens, notes.
    sums = torch.zeros(1 + len(names), 3, dtype=torch.float64)
    batches = -(-count // batch_size)
    for index in range(rank, -(-batches // world_size) * world_size, world_size):
        own = np.arange(index * batch_size, min((index + 1) * batch_size, count))
        shown = own if len(own) else np.arange(1)  # a rank without a share computes a window that is not counted
        pieces = [split.pieces[piece] for piece in windows.piece[shown]]
        batch, targets = collate(pieces, windows.start[shown].tolist(), context, split.encoding)
        losses = model(batch.to(device), targets.to(device), reduce=False).cpu().double()
        for row, window in enumerate(own):
            counted = targets[row] != IGNORED
            notes = onsets[targets[row][counted]].sum()
            found = torch.stack([losses[row].sum(), counted.sum().double(), notes.double()])
            sums[0] += found
            sums[1 + number[split.styles[windows.piece[window]] or NO_STYLE]] += found
    model.train(was_training)
    all_reduce(sums)
    loss, tokens, notes = sums[0].tolist()
    return EvalMetrics(
        nats_per_token=loss / max(tokens, 1),
        nats_per_note=loss / max(notes, 1),
        tokens=int(tokens),
        by_style={name: float(sums[1 + i, 0] / sums[1 + i, 1]) for i, name in enumerate(names) if sums[1 + i, 1] > 0},
    )
