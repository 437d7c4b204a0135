"""Held-out figures: nats per token and per note, in all and by style."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from modeling.batches import Split, collate, epoch_windows
from modeling.transformer import IGNORED, MuseNet
from tokenization.encodings import HEADER


@dataclass(frozen=True)
class HeldOut:
    """Loss on a split."""

    nats_per_token: float
    nats_per_note: float
    """The loss of all tokens divided by the number of notes that start in them: comparable between encodings."""
    tokens: int
    by_style: dict[str, float]
    """Nats per token of each style."""


@torch.inference_mode()
def evaluate(model: torch.nn.Module, split: Split, context: int, batch_size: int, limit: int = 64) -> HeldOut:
    """Loss over up to `limit` windows of a split, always the same ones."""
    net = getattr(model, "module", model)
    assert isinstance(net, MuseNet)
    was_training = net.training
    net.eval()
    windows = epoch_windows(split.sizes, context + 1 - HEADER, seed=0, epoch=0)
    onsets = torch.from_numpy(split.encoding.meaning.onsets)
    chosen = np.arange(min(limit, len(windows)))
    loss_sum, token_sum, note_sum = 0.0, 0, 0
    style_loss: dict[str, list[float]] = {}
    device = net.norm.weight.device
    for first in range(0, len(chosen), batch_size):
        indices = chosen[first : first + batch_size]
        pieces = [split.pieces[piece] for piece in windows.piece[indices]]
        batch, targets = collate(pieces, windows.start[indices].tolist(), context, split.encoding)
        logits = net.logits(net.states(batch.to(device))).float()
        losses = cross_entropy(logits.transpose(1, 2), targets.to(device), ignore_index=IGNORED, reduction="none").cpu()
        counted = targets != IGNORED
        loss_sum += float(losses.sum())
        token_sum += int(counted.sum())
        note_sum += int(onsets[targets[counted]].sum())
        for row, index in enumerate(indices):
            style = split.styles[windows.piece[index]] or "(none)"
            total = style_loss.setdefault(style, [0.0, 0.0])
            total[0] += float(losses[row].sum())
            total[1] += int(counted[row].sum())
    net.train(was_training)
    return HeldOut(
        nats_per_token=loss_sum / max(token_sum, 1),
        nats_per_note=loss_sum / max(note_sum, 1),
        tokens=token_sum,
        by_style={style: loss / max(count, 1) for style, (loss, count) in sorted(style_loss.items())},
    )
