"""The held-out loss of the back-off n-gram of `flows.evaluation.baselines`, on the network's own targets.

It learns from every token of the training split and of transposed copies, for the network sees those too. It predicts
exactly the targets that `modeling.training.evaluation` asks the network for: the same windows of the same split.
Within a window it sees the header, if the piece begins there, and the tokens before; the header's tokens are never
targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flows.evaluation.baselines.ngram import NGram
from modeling.data import Split, collate, epoch_windows
from modeling.network.loss import IGNORED
from tokenization.augmentation import AugmentationSettings, Choices, apply_to_tokens, transpose_range_of_tokens
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens

BATCH = 256
"""Windows that are scored at once."""
COPIES = AugmentationSettings(transpose=6, velocity=0, stretch=0)
"""Augmentation of the copies; softer and louder ones did not help."""


def with_copies(split: Split, copies: int, seed: int = 0) -> list[Tokens]:
    """The pieces of a split, and of each so many copies, transposed at random."""
    random = np.random.default_rng(seed)
    pieces = list(split.pieces)
    for piece in split.pieces if copies else []:
        choices = Choices(COPIES, transpose_range_of_tokens(piece, split.encoding))
        drawn = random.integers(len(choices), size=copies).tolist()
        pieces += [apply_to_tokens(piece, choices[index], split.encoding) for index in drawn]
    return pieces


@dataclass(frozen=True)
class Score:
    """Loss on the windows of a split."""

    nats_per_token: float
    nats_per_note: float
    tokens: int
    windows: int


def score(model: NGram, split: Split, context: int, limit: int | None = None, order: int | None = None) -> Score:
    """The loss over the first `limit` windows that `modeling.training.evaluation` reads of a split; None: all."""
    body = context + 1 - HEADER
    windows = epoch_windows(split.sizes, body, seed=0, epoch=0)
    chosen = np.arange(len(windows) if limit is None else min(limit, len(windows)))
    onsets = split.encoding.effects.onsets
    loss, tokens, notes = 0.0, 0, 0.0
    for first in range(0, len(chosen), BATCH):
        indices = chosen[first : first + BATCH]
        starts = windows.start[indices]
        pieces = [split.pieces[piece] for piece in windows.piece[indices]]
        batch, targets_bt = collate(pieces, starts.tolist(), context, split.encoding)
        rows = np.concatenate([batch.tokens[:, :1].numpy(), targets_bt.numpy()], axis=1)
        # In front of a piece's first tokens stands its header; elsewhere nothing that an n-gram knows.
        header = np.where(starts[:, None] == 0, batch.tokens[:, :HEADER].numpy(), model.unknown)
        front = np.where(starts == 0, model.before, model.unknown)[:, None].repeat(model.order - 1, axis=1)
        rows = np.concatenate([front, header, rows[:, HEADER:]], axis=1)
        counted = rows != IGNORED
        counted[:, : model.order - 1 + HEADER] = False
        loss -= float(np.log(model.probabilities(np.where(rows == IGNORED, model.unknown, rows), order)[counted]).sum())
        tokens += int(counted.sum())
        notes += int(onsets[rows[counted]].sum())
    return Score(loss / max(tokens, 1), loss / max(notes, 1), tokens, len(chosen))
