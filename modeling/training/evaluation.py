"""Evaluation: the loss on a split, in nats per token and per note, in total and by style.

Of a split that the model's parent knows in part, the loss is that of the clean pieces, with that of all beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
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
    nats_per_token_all: float | None = None
    """With the pieces that leaked; None where none did, or none is clean: then there is one figure."""
    nats_per_note_all: float | None = None


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
    leaked: frozenset[str] = frozenset(),
) -> EvalMetrics:
    """Compute the loss over up to `limit` windows of a split (None: all), always the same ones.

    `leaked`: ids of pieces that are not clean. Where there are others, the loss is that of as many windows of these.

    Collective: each of the `world_size` ranks computes its share in the same number of batches (ZeRO-3 gathers weights
    on all ranks together), and `all_reduce` sums a tensor over the ranks, in place.
    """
    was_training = model.training
    model.eval()
    windows = epoch_windows(split.sizes, context + 1 - HEADER, seed=0, epoch=0)
    of_all, clean = _counted(split, windows.piece, limit, leaked)
    chosen = np.flatnonzero(of_all | clean)
    count = len(chosen)
    onsets = torch.from_numpy(split.encoding.effects.onsets)
    names = sorted({style or NO_STYLE for style in split.styles})
    number = {name: index for index, name in enumerate(names)}
    device = next(model.parameters()).device
    # Row 0: clean windows, row 1: those of all, then one row per style; columns: loss, tokens, notes.
    sums = torch.zeros(2 + len(names), 3, dtype=torch.float64)
    batches = -(-count // batch_size)
    for index in range(rank, -(-batches // world_size) * world_size, world_size):
        own = chosen[index * batch_size : (index + 1) * batch_size]
        shown = own if len(own) else np.arange(1)  # a rank without a share computes a window that is not counted
        pieces = [split.pieces[piece] for piece in windows.piece[shown]]
        batch, targets = collate(pieces, windows.start[shown].tolist(), context, split.encoding)
        losses = model(batch.to(device), targets.to(device), reduce=False).cpu().double()
        for row, window in enumerate(own):
            counted = targets[row] != IGNORED
            notes = onsets[targets[row][counted]].sum()
            found = torch.stack([losses[row].sum(), counted.sum().double(), notes.double()])
            if of_all[window]:
                sums[1] += found
            if clean[window]:
                sums[0] += found
                sums[2 + number[split.styles[windows.piece[window]] or NO_STYLE]] += found
    model.train(was_training)
    all_reduce(sums)
    (loss, tokens, notes), (loss_all, tokens_all, notes_all) = sums[:2].tolist()
    is_one = bool((of_all == clean).all())
    return EvalMetrics(
        nats_per_token=loss / max(tokens, 1),
        nats_per_note=loss / max(notes, 1),
        tokens=int(tokens),
        by_style={name: float(sums[2 + i, 0] / sums[2 + i, 1]) for i, name in enumerate(names) if sums[2 + i, 1] > 0},
        nats_per_token_all=None if is_one else loss_all / max(tokens_all, 1),
        nats_per_note_all=None if is_one else loss_all / max(notes_all, 1),
    )


def _counted(
    split: Split, piece: NDArray[np.int64], limit: int | None, leaked: frozenset[str]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each window of a piece whether it counts among all, and among the clean ones: the first `limit` of
    each."""
    dirty = [number for number, name in enumerate(split.piece_ids) if name in leaked] if leaked else []
    is_clean = ~np.isin(piece, dirty)
    most = len(piece) if limit is None else limit
    of_all = np.arange(len(piece)) < most
    return of_all, (is_clean & (np.cumsum(is_clean) <= most)) if is_clean.any() else of_all
