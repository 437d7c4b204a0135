"""Scores of pieces by a critic: windows over the whole piece, a score for each, and one for the piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modeling.criticism.calibration import Values, probability
from modeling.criticism.critic import Critic
from modeling.criticism.windows import Window
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

SHORTEST_PREFIX = 64
"""Tokens behind the prompt in the shortest prefix that is looked at; longer ones are twice as long each."""


@dataclass(frozen=True)
class Judgement:
    """What a critic says of a piece."""

    ends: NDArray[np.int64]
    """Tokens of the piece up to the end of each window, ascending, shape (windows,)."""
    logits: Values
    """Calibrated logit of each window, that it is real, shape (windows,)."""

    @property
    def score(self) -> float:
        """Probability that the piece is real: of the mean logit of its windows."""
        return float(probability(self.logits.mean(keepdims=True))[0])

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Tokens up to the end of each window, and the probability that the window is real."""
        return list(zip(self.ends.tolist(), probability(self.logits).tolist()))


def judge(
    critic: Critic,
    encoding: Encoding,
    pieces: Sequence[Tokens],
    lengths: Sequence[int],
    start: int = 0,
    most: int | None = None,
) -> list[Judgement]:
    """Return a critic's judgement of pieces, from body token `start` on.

    `lengths`: the tokens of each whole piece, as it is or as it was planned. Neighbouring windows share half of their
    music, and the last one ends with the piece; of more than `most` so many are heard, evenly spread.
    """
    windows, owner = windows_over(pieces, lengths, critic.config.window, start, most)
    ends, logits = final_logits(critic, encoding, windows)
    return [Judgement(ends[owner == number], logits[owner == number]) for number in range(len(pieces))]


def windows_over(
    pieces: Sequence[Tokens], lengths: Sequence[int], size: int, start: int = 0, most: int | None = None
) -> tuple[list[Window], NDArray[np.int64]]:
    """Return windows of `size` tokens over pieces from body token `start` on, and the index of each one's piece, shape
    (windows,). `most`: of a piece, evenly spread from its first to its last; None: all.
    """
    windows, owners = [], []
    for number, (tokens, length) in enumerate(zip(pieces, lengths)):
        starts = np.array(window_starts(len(tokens), size, start), np.int64)
        if most is not None and len(starts) > most:
            starts = starts[np.linspace(0, len(starts) - 1, most).round().astype(np.int64)]
        for begin in starts.tolist():
            windows.append(Window(tokens, begin, length))
            owners.append(number)
    return windows, np.array(owners, np.int64)


def window_starts(size: int, window: int, start: int = 0) -> list[int]:
    """Return the first body tokens of the windows over a piece of `size` tokens, half a window apart."""
    last = max(size - window, start)
    return [*range(start, last, max((window - HEADER) // 2, 1)), last]


def final_logits(critic: Critic, encoding: Encoding, windows: Sequence[Window]) -> tuple[NDArray[np.int64], Values]:
    """Return the tokens up to the end of each window, and the calibrated logit behind it, shape (windows,) each."""
    logits, heard, _ = judge_windows(critic, encoding, windows)
    starts = np.array([window.start for window in windows], np.int64)
    return starts + HEADER + heard.astype(np.int64), critic.calibration.apply(logits, heard)


def judge_windows(
    critic: Critic, encoding: Encoding, windows: Sequence[Window]
) -> tuple[Values, Values, NDArray[np.bool_]]:
    """Return the uncalibrated logit behind each window, the tokens heard behind its header, and if it is real.

    Shape (windows,) each.
    """
    heard = critic.hear(windows, encoding)
    sizes = (~np.isnan(heard)).sum(1)
    last = heard[np.arange(len(heard)), np.maximum(sizes - 1, 0)]
    return last, (sizes - HEADER).astype(np.float64), np.array([window.is_real for window in windows], np.bool_)


def prefix_sizes(window: int) -> list[int]:
    """Return the numbers of tokens behind header and prompt at which a critic is looked at; the window's end comes
    behind them."""
    sizes = [SHORTEST_PREFIX]
    while sizes[-1] * 2 < window:
        sizes.append(sizes[-1] * 2)
    return [size for size in sizes if size < window - HEADER]


def hear_prefixes(critic: Critic, encoding: Encoding, windows: Sequence[Window]) -> tuple[Values, Values]:
    """Return the uncalibrated logits of prefixes of windows, and the tokens heard behind the header.

    Shape (windows, prefixes) each: those of `prefix_sizes`, counted from where the label begins to hold, and the window
    up to its end. Two windows that share a prompt are so compared by what they do not share. NaN where a window ends
    before.
    """
    sizes = [*prefix_sizes(critic.config.window), critic.config.window]
    given = np.array([max(window.judged_from - window.start, HEADER) for window in windows], np.int64)
    body = np.array([len(window.tokens) - window.start for window in windows], np.int64)
    whole = np.minimum(body, critic.config.window)
    logits, heard = np.full((len(windows), len(sizes)), np.nan), np.full((len(windows), len(sizes)), np.nan)
    for column, size in enumerate(sizes):
        last = whole if column == len(sizes) - 1 else given + size
        own = np.flatnonzero((last > given) & (last <= whole)).tolist()
        cut = [_cut(windows[index], last[index]) for index in own]
        logits[own, column], heard[own, column], _ = judge_windows(critic, encoding, cut)
    return logits, heard


def _cut(window: Window, size: int) -> Window:
    """Return the first `size` tokens of a window."""
    return replace(window, tokens=window.tokens[: window.start + size])
