"""The melody head: logits of pitches by their interval from the last notes and from the pitch classes heard.

Whether a note a step above the last one is likely depends little on where that is, and whether it fits depends on which
pitch classes were heard. The output projection has a row for each pitch and learns both for each anew; this head adds
to the logits of all notes what a position says of intervals.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from modeling.network.embeddings import pitch_class_counts
from modeling.network.loss import Melody
from tokenization.encodings.texture import CLASSES, LATEST, RECENT_BITS
from tokenization.vocabulary import PITCHES

REACH = 24
"""Semitones; wider intervals are worth nothing."""
INTERVALS = 2 * REACH + 1


class MelodyHead(nn.Module):
    """A projection of hidden states to intervals from each of the last notes and from the pitch classes of the last few
    and the last many, and the gain of each row of notes."""

    def __init__(self, d_model: int, notes: int, rows: int) -> None:
        """`notes`: the last notes that intervals are counted from. `rows`: those of instruments and velocities."""
        super().__init__()
        self.notes = notes
        outputs = notes * INTERVALS + 2 * CLASSES
        self.weight = nn.Parameter(torch.empty(outputs, d_model))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.ones(rows))

    def forward(self, states: Tensor, texture: Tensor) -> Melody:
        """Return what is added to the logits after states, shape (n, d_model). `texture`: shape (n, FIELDS)."""
        values = linear(states, self.weight, self.bias)
        by_interval = values[:, : -2 * CLASSES].reshape(len(states), self.notes, INTERVALS)
        by_class = values[:, -2 * CLASSES :].reshape(len(states), 2, CLASSES)
        pitch = _by_pitch(by_interval, recent_pitches(texture, self.notes))
        classes = torch.arange(PITCHES, device=states.device) % CLASSES
        pitch = pitch + _of_classes(by_class, pitch_class_counts(texture))[:, classes]
        return Melody(pitch, self.gain.view_as(self.gain))


def recent_pitches(texture: Tensor, notes: int) -> Tensor:
    """Return the pitches of the last notes, −1 for none, shape (n, notes)."""
    shifts = RECENT_BITS * torch.arange(notes, device=texture.device)
    return (texture[:, LATEST, None] >> shifts & (1 << RECENT_BITS) - 1) - 1


def _by_pitch(by_interval: Tensor, recent: Tensor) -> Tensor:
    """Turn values by interval from each note, shape (n, notes, INTERVALS), into their sum by pitch, (n, PITCHES)."""
    known = by_interval * (recent[:, :, None] >= 0)
    places = recent.clamp(min=0)[:, :, None] + torch.arange(INTERVALS, device=recent.device)
    around = known.new_zeros(len(known), PITCHES + 2 * REACH)  # with what lies below the lowest and above the highest
    return around.scatter_add(1, places.flatten(1), known.flatten(1))[:, REACH:-REACH]


def _of_classes(by_class: Tensor, counts: Tensor) -> Tensor:
    """Turn values by interval from pitch classes, shape (n, 2, CLASSES), into their sum by pitch class, weighted with
    the logarithm of how often each was heard, shape (n, CLASSES)."""
    index = torch.arange(CLASSES, device=counts.device)
    heard = counts.to(by_class.dtype).log1p()[:, :, (index[:, None] - index) % CLASSES]  # by class, then by interval
    return (heard.transpose(1, 2).flatten(2) @ by_class.flatten(1)[:, :, None]).squeeze(-1)
