"""Variants applied: to notes, to tokens, and how far a piece can be transposed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tokenization.augmentation.variants import LOUDEST, ORIGINAL, SOFTEST, AugmentationSettings, Choices, Variant
from tokenization.compiled import compiled
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.grid import column_of
from tokenization.midi.notes import Notes
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary
from tokenization.vocabulary.instruments import ALL_PITCHES


def apply(notes: Notes, variant: Variant) -> Notes:
    """Return the piece as a variant, note by note in the same order.

    Drums are never transposed. Velocities are clipped to 1–127. Raises ValueError if a note would leave the pitches
    of MIDI; `transpose_range` returns how far a piece can go.
    """
    if variant == ORIGINAL:
        return notes
    pitch = notes.pitch + np.where(notes.drum, 0, variant.transpose)
    if len(pitch):
        _check_pitches(int(pitch.min()), int(pitch.max()), variant)
    velocity = np.clip(notes.velocity + np.int64(variant.velocity_shift), SOFTEST, LOUDEST)
    return replace(
        notes,
        onset=notes.onset * variant.stretch,
        duration=notes.duration * variant.stretch,
        pitch=pitch.astype(np.uint8),
        velocity=velocity.astype(np.uint8),
        tempo=notes.tempo / variant.stretch,
        tempo_map=notes.tempo_map and notes.tempo_map.stretched(variant.stretch),
    )


def apply_to_tokens(tokens: Tokens, variant: Variant, encoding: Encoding) -> Tokens:
    """Return the tokens of a whole piece as a variant: those that its decoded and varied notes would be encoded as.

    Transposition and velocity change one token at a time; a stretch goes through the notes. Raises ValueError as
    `apply` does.
    """
    if variant == ORIGINAL:
        return tokens
    plain = encoding.expand(tokens)
    if variant.stretch != 1.0:
        notes = encoding.decode(tokens)
        varied = encoding.write(encoding.grid(apply(notes, variant))) if len(notes) else plain.copy()
        varied[0] = tokens[0]
    else:
        vocabulary = encoding.vocabulary
        velocity = vocabulary.row_velocity.astype(np.int64)
        shifted = np.clip(velocity + variant.velocity_shift, SOFTEST, LOUDEST)
        louder = np.where(velocity > 0, vocabulary.on_row[vocabulary.row_instrument, shifted], np.arange(len(velocity)))
        varied, lowest, highest = _moved(
            column_of(plain, np.uint16), louder.astype(np.uint8), vocabulary.row_is_drum, variant.transpose
        )
        if highest >= 0:
            _check_pitches(lowest, highest, variant)
    return encoding.merge(varied)


def vary(
    tokens: Tokens, start: int, settings: AugmentationSettings, encoding: Encoding, uniform: float
) -> tuple[Tokens, int]:
    """Return a variant of a piece's tokens, and the place in it of the original's body token `start`.

    `uniform`: a uniform random number of [0, 1), which chooses among all variants within the settings. A stretch
    changes the number of waits, so the place is the one at the same share of the tokens.
    """
    choices = Choices(settings.in_time(encoding.time), transpose_range_of_tokens(tokens, encoding))
    varied = apply_to_tokens(tokens, choices[int(uniform * len(choices))], encoding)
    body, varied_body = max(len(tokens) - HEADER, 1), len(varied) - HEADER
    return varied, start if body == varied_body else start * varied_body // body


def transpose_range(notes: Notes, vocabulary: Vocabulary) -> tuple[int, int]:
    """Return the semitones (at most 0, at least 0) that a piece can go down and up within its instruments' ranges.

    If the piece itself leaves an instrument's range, what it plays is the range: a bass that is written an octave too
    low goes no lower and still goes up. A piece of drums alone is not transposed.
    """
    pitched = ~notes.drum
    return _transpose_range(vocabulary.program_instrument[notes.program[pitched]], notes.pitch[pitched], vocabulary)


def transpose_range_of_tokens(tokens: Tokens, encoding: Encoding) -> tuple[int, int]:
    """Return what `transpose_range` returns for a piece, from its tokens."""
    vocabulary = encoding.vocabulary
    used = np.flatnonzero(np.bincount(encoding.expand(tokens), minlength=vocabulary.note_end)[: vocabulary.note_end])
    row, pitch = np.divmod(used, PITCHES)
    pitched = ~vocabulary.row_is_drum[row]
    return _transpose_range(vocabulary.row_instrument[row[pitched]], pitch[pitched], vocabulary)


def _transpose_range(
    instrument: NDArray[np.uint8], pitch: NDArray[np.integer], vocabulary: Vocabulary
) -> tuple[int, int]:
    """Return the semitones down and up for notes of these instruments and pitches, both of shape (n,)."""
    if not len(instrument):
        return 0, 0
    lowest = np.full(len(vocabulary.instruments), ALL_PITCHES[1] + 1)
    highest = np.full(len(vocabulary.instruments), ALL_PITCHES[0] - 1)
    np.minimum.at(lowest, instrument, pitch)
    np.maximum.at(highest, instrument, pitch)
    sounding = np.unique(instrument)
    low, high = np.array([vocabulary.instruments[i].range for i in sounding]).T
    down = np.minimum(low - lowest[sounding], 0).max()
    up = np.maximum(high - highest[sounding], 0).min()
    return int(down), int(up)


def _check_pitches(lowest: int, highest: int, variant: Variant) -> None:
    """Raise ValueError if pitches leave those of MIDI."""
    if not ALL_PITCHES[0] <= lowest <= highest <= ALL_PITCHES[1]:
        raise ValueError(f"{variant.transpose:+} semitones lead to pitches {lowest} to {highest} of 0–127")


@compiled
def _moved(
    tokens: Tokens, louder: NDArray[np.uint8], is_drum: NDArray[np.bool_], transpose: int
) -> tuple[Tokens, int, int]:
    """Return plain tokens with other pitches and rows (`louder`, by row), and their lowest and highest pitch."""
    out = tokens.copy()
    notes = len(louder) * PITCHES
    lowest, highest = PITCHES, -1
    for i in range(len(tokens)):
        token = np.int64(tokens[i])
        if token < notes:
            row = token // PITCHES
            pitch = int(token % PITCHES) + (0 if is_drum[row] else transpose)
            lowest, highest = min(lowest, pitch), max(highest, pitch)
            out[i] = np.int64(louder[row]) * PITCHES + pitch
    return out, lowest, highest
