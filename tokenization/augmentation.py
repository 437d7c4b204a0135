"""Variants of a piece: transposed, louder or softer, slower or faster, and which of them a dataset holds.

`apply` works on the notes before they are encoded, so a variant's tokens are as exact as the original's. Which
variants a piece gets follows from the seed and the piece alone, not from the machine or the order of work.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tokenization.instruments import ALL_PITCHES
from tokenization.notes import Notes
from tokenization.vocabulary import Vocabulary

VERSION = 1
"""Raised whenever the same piece, seed and settings would give other variants; part of every dataset's digest."""

SOFTEST, LOUDEST = 1, 127
STRETCH_STEPS = 1000
"""Stretches are drawn in steps of a thousandth, which a reader of the dataset can write down."""


class AugmentationSettings(BaseModel):
    """How far variants may go from the original. Zero switches a kind of change off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transpose: int = Field(6, ge=0, le=24)
    """Semitones up or down, for pitched notes; less where an instrument's range ends."""
    velocity: int = Field(12, ge=0, le=64)
    """Steps of MIDI velocity louder or softer, for all notes."""
    stretch: float = Field(0.05, ge=0, le=0.5)
    """Share of the time by which a piece may get longer or shorter. It says something in absolute time only."""


@dataclass(frozen=True)
class Variant:
    """One way to change a piece."""

    transpose: int = 0
    """Semitones up."""
    velocity_shift: int = 0
    """Steps of MIDI velocity louder."""
    stretch: float = 1.0
    """Factor of all times: above 1 is slower."""

    def __post_init__(self) -> None:
        """Raises ValueError for a stretch that no music survives."""
        if not 0 < self.stretch < np.inf:
            raise ValueError(f"a stretch is a positive factor, not {self.stretch}")


ORIGINAL = Variant()


def apply(notes: Notes, variant: Variant) -> Notes:
    """The piece as that variant, note by note in the same order.

    Drums are never transposed. Velocities stop at 1 and 127. Raises ValueError where a note would leave the pitches
    of MIDI; `transpose_range` says how far a piece can go.
    """
    if variant == ORIGINAL:
        return notes
    pitch = notes.pitch + np.where(notes.drum, 0, variant.transpose)
    if len(pitch) and not (ALL_PITCHES[0] <= pitch.min() and pitch.max() <= ALL_PITCHES[1]):
        raise ValueError(f"{variant.transpose:+} semitones lead to pitches {pitch.min()} to {pitch.max()} of 0–127")
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


def transpose_range(notes: Notes, vocabulary: Vocabulary) -> tuple[int, int]:
    """Semitones (at most 0, at least 0) that the whole piece can go down and up within its instruments' ranges.

    Where a piece itself leaves an instrument's range, what it plays is the range: a bass that is written an octave
    too low goes no lower and still goes up. Drums alone go nowhere.
    """
    pitched = ~notes.drum
    instrument = vocabulary.program_instrument[notes.program[pitched]]
    lowest = np.full(len(vocabulary.instruments), ALL_PITCHES[1] + 1)
    highest = np.full(len(vocabulary.instruments), ALL_PITCHES[0] - 1)
    np.minimum.at(lowest, instrument, notes.pitch[pitched])
    np.maximum.at(highest, instrument, notes.pitch[pitched])
    sounding = np.unique(instrument)
    if not len(sounding):
        return 0, 0
    low, high = np.array([vocabulary.instruments[i].range for i in sounding]).T
    down = np.minimum(low - lowest[sounding], 0).max()
    up = np.maximum(high - highest[sounding], 0).min()
    return int(down), int(up)


def draw_variants(
    piece_id: str, copies: int, seed: int, settings: AugmentationSettings, allowed: tuple[int, int]
) -> list[Variant]:
    """The original and `copies` variants of a piece, no two of them equal.

    `allowed` is what `transpose_range` gives. Each variant is one of all possible ones with equal chance, taken from
    a hash of seed, piece and number: the same on any machine, and the first ones stay when more are asked for. Fewer
    come back where the settings leave fewer.
    """
    down, up = max(allowed[0], -settings.transpose), min(allowed[1], settings.transpose)
    steps = round(settings.stretch * STRETCH_STEPS)
    sizes = (up - down + 1, 2 * settings.velocity + 1, 2 * steps + 1)
    possible = sizes[0] * sizes[1] * sizes[2]

    def variant(index: int) -> Variant:
        rest, transpose = divmod(index, sizes[0])
        stretch, shift = divmod(rest, sizes[1])
        return Variant(transpose + down, shift - settings.velocity, (STRETCH_STEPS + stretch - steps) / STRETCH_STEPS)

    drawn = {ORIGINAL: None}
    for number in range(1, min(copies, possible - 1) + 1):
        index = int.from_bytes(hashlib.sha256(f"{seed}:{piece_id}:{number}".encode()).digest()) % possible
        while variant(index) in drawn:
            index = (index + 1) % possible
        drawn[variant(index)] = None
    return list(drawn)
