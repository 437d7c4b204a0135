"""What each id is to the controls: a wait, a start of a note of an instrument and pitch, or something else.

A learned id counts as the first note that starts in it, as a wait if none does but time passes, and may follow if all
that it stands for may.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.controls.keys import parse_key
from modeling.controls.wishes import Controls
from tokenization.encodings import Encoding
from tokenization.encodings.effects import DRUM, NOTE
from tokenization.vocabulary import PITCHES, VocabularyError

NONE = -1
"""In place of the instrument and pitch of an id that starts no note."""


class IdTable(NamedTuple):
    """The ids of a vocabulary; arrays of shape (ids,)."""

    instrument: NDArray[np.int64]
    """Instrument of the note that starts, or NONE."""
    pitch: NDArray[np.int64]
    """Its pitch, or NONE."""
    onsets: NDArray[np.int64]
    """Notes that start, drum hits left out."""
    ticks: NDArray[np.int64]
    """Ticks that pass."""
    drum: NDArray[np.bool_]
    """True for instruments that are drums, shape (instruments,)."""


class Limits(NamedTuple):
    """What some controls say about each id; arrays of shape (ids,)."""

    may: NDArray[np.bool_]
    """False for ids that are out of range, or of a forbidden pitch class."""
    bias: NDArray[np.float32]
    """Nats that are added to the logit."""


def id_table(encoding: Encoding) -> IdTable:
    """Describe the ids of an encoding."""
    vocabulary, effects = encoding.vocabulary, encoding.effects
    kind, value = effects.table.kind, effects.table.value
    starts, instrument = _starts(encoding)
    instrument, pitch = np.where(starts, instrument, NONE), np.where(starts, value % PITCHES, NONE)
    plain = (kind == NOTE).astype(np.int64)
    onsets = plain
    if vocabulary.learned:
        expansion = vocabulary.expansion
        owner = np.repeat(np.arange(vocabulary.size), expansion.sizes)
        onsets = np.bincount(owner, plain[expansion.tokens], vocabulary.size).astype(np.int64)
        at = np.flatnonzero(starts[expansion.tokens])[::-1]  # backwards, so that the first one stays
        instrument, pitch = instrument.copy(), pitch.copy()
        instrument[owner[at]], pitch[owner[at]] = instrument[expansion.tokens[at]], pitch[expansion.tokens[at]]
    drum = np.array([each.drum for each in vocabulary.instruments], np.bool_)
    return IdTable(instrument, pitch, onsets, effects.ticks, drum)


def limits_of(encoding: Encoding, controls: Controls, playable: NDArray[np.bool_]) -> Limits:
    """Return range, key and velocity as limits on ids.

    `playable`: the instruments that may play, shape (instruments,). Raises VocabularyError if no note of theirs is
    left.
    """
    vocabulary, table = encoding.vocabulary, encoding.effects.table
    starts, instrument = _starts(encoding)
    pitched, pitch = table.kind == NOTE, table.value % PITCHES
    may = ~pitched | ((controls.lowest <= pitch) & (pitch <= controls.highest))
    may &= ~starts | _near(encoding, controls.softest, controls.loudest)
    bias = np.zeros(vocabulary.size, np.float32)
    if controls.key is not None:
        outside = pitched & ~parse_key(controls.key)[pitch % 12]
        if controls.strict_key:
            may &= ~outside
        bias[outside] = -controls.key_strength
    if not (starts & may & playable[instrument]).any():
        raise VocabularyError(
            "no note of the instruments is left within the pitch range, key and velocities that were asked for"
        )
    if vocabulary.learned:
        expansion = vocabulary.expansion
        may = np.logical_and.reduceat(may[expansion.tokens], expansion.first[:-1])
        bias = np.add.reduceat(bias[expansion.tokens], expansion.first[:-1])
    return Limits(may, bias)


def part_starts(encoding: Encoding, parts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the ids with which a note of a part starts, learned ids by all that they stand for, shape (ids, parts).

    `parts`: the instruments of each part, shape (parts, instruments).
    """
    vocabulary = encoding.vocabulary
    is_start, instrument = _starts(encoding)
    starts = is_start[:, None] & parts[:, instrument].T
    if vocabulary.learned:
        expansion = vocabulary.expansion
        starts = np.logical_or.reduceat(starts[expansion.tokens], expansion.first[:-1], axis=0)
    return np.ascontiguousarray(starts)


def _starts(encoding: Encoding) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which ids, learned ones aside, start a note, and its instrument, 0 for the others."""
    table = encoding.effects.table
    starts = (table.kind == NOTE) | (table.kind == DRUM)
    return starts, np.where(starts, table.value // PITCHES, 0)


def _near(encoding: Encoding, softest: int, loudest: int) -> NDArray[np.bool_]:
    """Return the ids whose velocity is between the steps of its instrument that are nearest to two velocities."""
    vocabulary = encoding.vocabulary
    velocity, owner = vocabulary.row_velocity.astype(np.int64), vocabulary.row_instrument
    may = np.zeros(len(velocity), np.bool_)
    for instrument in range(len(vocabulary.instruments)):
        rows = np.flatnonzero((owner == instrument) & (velocity > 0))
        steps = velocity[rows]
        low, high = (steps[np.abs(steps - bound).argmin()] for bound in (softest, loudest))
        may[rows] = (low <= steps) & (steps <= high)
    out = np.ones(vocabulary.size, np.bool_)
    out[: vocabulary.note_end] = np.repeat(may, PITCHES)
    return out
