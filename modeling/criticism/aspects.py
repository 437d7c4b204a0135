"""Aspects: what a critic says of a piece beside whether it is real: are its bars in their own order, do its instruments
play what is theirs, and is it in the style of its header?

Each is a contrast of the music with itself changed, as a calibrated probability. One score for all cannot be had: real
music lies between damaged pieces, which gain little by being as they are, and a network's own, which gain the most. So
aspects find fault with music that was written down; they do not choose among compositions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from modeling.criticism.calibration import Values, probability
from modeling.criticism.contrasts import (
    Change,
    disarranged,
    gain_of,
    mean_losses_of,
    reorchestrated,
    restyled,
    share_of_loss,
)
from modeling.criticism.critic import Critic
from modeling.criticism.scoring import windows_over
from modeling.criticism.windows import BATCH, Window
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

MOST_WINDOWS: Final = 8
"""Windows of a piece by which its aspects are judged, evenly spread over it where it has more."""


@dataclass(frozen=True)
class Aspect:
    """A question about a window, and what it is compared with to answer it."""

    name: str
    change: Change
    others: int
    """Changed windows that it is compared with; each takes as long as the window itself."""


ASPECTS: Final = (
    Aspect("order", disarranged, 2),
    Aspect("instruments", reorchestrated, 1),
    Aspect("style", restyled, 3),
)


def hear_aspects(
    model: MuseNet, encoding: Encoding, windows: Sequence[Window], size: int, aspects: Sequence[Aspect] = ASPECTS
) -> tuple[Values, Values]:
    """Return what windows of `size` tokens gain by being as they are, as multiples of an eighth of their own loss,
    shape (windows, aspects), and the tokens heard behind the header of each, shape (windows,).

    NaN where nothing can be said: a window without notes has no other order, and drums have no other instrument.
    """
    gains, heard = np.full((len(windows), len(aspects)), np.nan), np.zeros(len(windows))
    for first in range(0, len(windows), BATCH):
        batch = windows[first : first + BATCH]
        losses = mean_losses_of(model, batch, size, encoding)
        rows = slice(first, first + len(batch))
        for column, each in enumerate(aspects):
            gain = gain_of(model, batch, losses, size, encoding, each.change, each.others)
            gains[rows, column] = share_of_loss(gain, losses).cpu().numpy()
        heard[rows] = [min(len(window.tokens) - window.start, size) - HEADER for window in batch]
    return gains, heard


def judge_aspects(
    critic: Critic, encoding: Encoding, pieces: Sequence[Tokens], lengths: Sequence[int]
) -> list[dict[str, float]]:
    """Return the probability of each aspect of pieces, by its name: of the mean logit of MOST_WINDOWS at most.

    There is none for an aspect that was not measured, nor where nothing can be said.
    """
    measured = [each for each in ASPECTS if each.name in critic.aspects]
    windows, owners = windows_over(pieces, lengths, critic.config.window, most=MOST_WINDOWS)
    gains, heard = hear_aspects(critic.model, encoding, windows, critic.config.window, measured)
    found: list[dict[str, float]] = [{} for _ in pieces]
    for column, each in enumerate(measured):
        known = ~np.isnan(gains[:, column])
        logits = critic.aspects[each.name].apply(gains[known, column], heard[known])
        sums, counts = (np.bincount(owners[known], part, len(pieces)) for part in (logits, np.ones(len(logits))))
        for number in np.flatnonzero(counts).tolist():
            found[number][each.name] = float(probability(sums[number : number + 1] / counts[number])[0])
    return found
