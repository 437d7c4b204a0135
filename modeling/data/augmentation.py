"""Augmentation of windows as they are read, as shifts of note ids.

Transposition and velocity shift the id of every note by an amount that depends on its row alone, so they cost one
addition a token where ids are plain tokens. The range by which a piece can be transposed is computed once, when its
tokens are cached. Variants are chosen as by `tokenization.augmentation.vary`, which varies whole pieces and is used for
stretches and learned tokens.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.augmentation import LOUDEST, SOFTEST, AugmentationSettings
from tokenization.compiled import compiled
from tokenization.encodings import Encoding
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind


def is_id_shift(settings: AugmentationSettings, encoding: Encoding) -> bool:
    """Return True if every variant that the settings allow is a shift of note ids."""
    return _has_plain_notes(encoding.vocabulary) and not settings.in_time(encoding.time).stretch


def _has_plain_notes(vocabulary: Vocabulary) -> bool:
    """Return True if all notes are ids of their own."""
    return not vocabulary.learned or vocabulary.learned.kind is LearnedKind.LENGTH


def transpose_ranges(tokens: Tokens, offsets: NDArray[np.int64], encoding: Encoding) -> NDArray[np.int8]:
    """Return the semitones that each piece can be transposed down and up, shape (pieces, 2).

    They are those of `tokenization.augmentation.transpose_range_of_tokens`; zeros if learned tokens stand for notes,
    as such windows are not augmented by shifts. `offsets`: starts of the pieces in `tokens`, and the end,
    shape (pieces + 1,).
    """
    vocabulary = encoding.vocabulary
    out = np.zeros((len(offsets) - 1, 2), np.int8)
    if _has_plain_notes(vocabulary):
        ranges = np.array([instrument.range for instrument in vocabulary.instruments], np.int64)
        _transpose_ranges(tokens, offsets, vocabulary.row_instrument, vocabulary.row_is_drum, ranges, out)
    return out


def id_shifts(
    settings: AugmentationSettings, ranges: NDArray[np.int8], uniform: NDArray[np.float64], vocabulary: Vocabulary
) -> NDArray[np.int32]:
    """Return the numbers to add to note ids by window and row, shape (windows, rows + 1); the last column, of all other
    ids, is 0.

    `ranges`: transposition range of each window's piece, shape (windows, 2). `uniform`: numbers in [0, 1) that choose
    among the variants that the settings allow, in the order of `tokenization.augmentation.Choices` without stretches.
    """
    down = np.maximum(ranges[:, 0], -settings.transpose).astype(np.int64)
    transposes = np.minimum(ranges[:, 1], settings.transpose) - down + 1
    shifts = 2 * settings.velocity + 1
    shift, transpose = np.divmod((uniform * (transposes * shifts)).astype(np.int64), transposes)
    velocity = vocabulary.row_velocity.astype(np.int64)
    shifted = np.clip(velocity + (shift - settings.velocity)[:, None], SOFTEST, LOUDEST)
    row = np.arange(len(velocity))
    louder = np.where(velocity > 0, vocabulary.on_row[vocabulary.row_instrument, shifted], row)
    out = np.zeros((len(uniform), len(row) + 1), np.int32)
    out[:, :-1] = (louder - row) * PITCHES + np.where(vocabulary.row_is_drum, 0, (transpose + down)[:, None])
    return out


@compiled
def _transpose_ranges(
    tokens: Tokens,
    offsets: NDArray[np.int64],
    row_instrument: NDArray[np.uint8],
    row_is_drum: NDArray[np.bool_],
    ranges: NDArray[np.int64],
    out: NDArray[np.int8],
) -> None:
    rows = len(row_instrument)
    used = np.zeros((rows + 1, PITCHES), np.uint8)  # the last row is for ids that are not notes
    ids = used.reshape(-1)
    for piece in range(len(offsets) - 1):
        used[:] = 0
        for at in range(offsets[piece], offsets[piece + 1]):
            ids[min(int(tokens[at]), rows * PITCHES)] = 1
        down, up = -PITCHES, PITCHES
        for row in range(rows):
            if row_is_drum[row] or not used[row].any():
                continue
            pitches = np.flatnonzero(used[row])
            low, high = ranges[row_instrument[row]]
            down, up = max(down, min(low - pitches[0], 0)), min(up, max(high - pitches[-1], 0))
        if up < PITCHES:
            out[piece, 0], out[piece, 1] = down, up
