"""Variants of windows as they are read: which one each window gets, and what that does to the ids of notes.

Transposition and velocity move every note of a window by its row alone, so they cost one addition a token where
ids are plain tokens. How far a piece can be transposed is found once, when its tokens are stored. The choice is
that of `tokenization.augmentation.vary`, which varies whole pieces, and which stretches and learned units go through.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.augmentation import LOUDEST, SOFTEST, AugmentationSettings
from tokenization.compiled import compiled
from tokenization.encodings import Encoding
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary


def by_row(settings: AugmentationSettings, encoding: Encoding) -> bool:
    """Whether all variants that the settings leave move notes by their rows alone."""
    return not encoding.vocabulary.learned and not settings.in_time(encoding.time).stretch


def rooms(tokens: Tokens, offsets: NDArray[np.int64], encoding: Encoding) -> NDArray[np.int8]:
    """Semitones that each piece can go down and up, shape (pieces, 2), as `transpose_range_of_tokens` says.

    Zeros where the vocabulary has units: their windows are not moved by rows. `offsets`: where pieces begin in
    `tokens`, and the end.
    """
    vocabulary = encoding.vocabulary
    out = np.zeros((len(offsets) - 1, 2), np.int8)
    if not vocabulary.learned:
        ranges = np.array([instrument.range for instrument in vocabulary.instruments], np.int64)
        _rooms(tokens, offsets, vocabulary.row_instrument, vocabulary.row_is_drum, ranges, out)
    return out


def row_changes(
    settings: AugmentationSettings, rooms: NDArray[np.int8], luck: NDArray[np.float64], vocabulary: Vocabulary
) -> NDArray[np.int32]:
    """What is added to the ids of notes, shape (windows, rows + 1); the last column, of all else, is 0.

    `rooms`: of each window's piece. `luck`, from 0 up to 1: which of all variants that the settings leave. The last
    of `Choices` are the stretches, of which there are none here.
    """
    down = np.maximum(rooms[:, 0], -settings.transpose).astype(np.int64)
    transposes = np.minimum(rooms[:, 1], settings.transpose) - down + 1
    shifts = 2 * settings.velocity + 1
    shift, transpose = np.divmod((luck * (transposes * shifts)).astype(np.int64), transposes)
    velocity = vocabulary.row_velocity.astype(np.int64)
    shifted = np.clip(velocity + (shift - settings.velocity)[:, None], SOFTEST, LOUDEST)
    row = np.arange(len(velocity))
    louder = np.where(velocity > 0, vocabulary.on_row[vocabulary.row_instrument, shifted], row)
    out = np.zeros((len(luck), len(row) + 1), np.int32)
    out[:, :-1] = (louder - row) * PITCHES + np.where(vocabulary.row_is_drum, 0, (transpose + down)[:, None])
    return out


@compiled
def _rooms(
    tokens: Tokens,
    offsets: NDArray[np.int64],
    row_instrument: NDArray[np.uint8],
    row_is_drum: NDArray[np.bool_],
    ranges: NDArray[np.int64],
    out: NDArray[np.int8],
) -> None:
    rows = len(row_instrument)
    heard = np.zeros((rows + 1, PITCHES), np.uint8)  # the last row takes all that are no notes
    ids = heard.reshape(-1)
    for piece in range(len(offsets) - 1):
        heard[:] = 0
        for at in range(offsets[piece], offsets[piece + 1]):
            ids[min(int(tokens[at]), rows * PITCHES)] = 1
        down, up = -PITCHES, PITCHES
        for row in range(rows):
            if row_is_drum[row] or not heard[row].any():
                continue
            used = np.flatnonzero(heard[row])
            low, high = ranges[row_instrument[row]]
            down, up = max(down, min(low - used[0], 0)), min(up, max(high - used[-1], 0))
        if up < PITCHES:
            out[piece, 0], out[piece, 1] = down, up
