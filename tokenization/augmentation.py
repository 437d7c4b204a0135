"""Variants of a piece: transposed, louder or softer, slower or faster, and which of them are heard.

`apply` works on notes before they are encoded, `apply_to_tokens` on tokens, and gives what encoding the varied notes
would have given. A dataset's copies and what the training loader varies on the fly are drawn by the same `Choices`.
Source: OpenAI, "MuseNet" (2019): transposition, less of it late in training; volumes; timing in absolute time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tokenization.compiled import compiled
from tokenization.encodings import HEADER, Encoding, Time
from tokenization.encodings.grid import column_of
from tokenization.midi.notes import Notes
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary
from tokenization.vocabulary.instruments import ALL_PITCHES

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
    """Share of the time by which a piece may get longer or shorter. Encodings in beats leave it out: to them a
    stretch is another tempo and nothing else."""

    def in_time(self, time: Time) -> AugmentationSettings:
        """What of the settings says something where ticks count that."""
        return self if time is Time.SECONDS else self.model_copy(update={"stretch": 0.0})


class AugmentationSchedule(BaseModel):
    """How far the training loader varies what it reads, and how transposition becomes less as training goes on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transpose: int = Field(0, ge=0, le=24)
    """Semitones up or down at first."""
    final_transpose: int = Field(0, ge=0, le=24)
    """Semitones up or down at the end of training."""
    anneal_from: float = Field(0.5, ge=0, le=1)
    """Share of training after which transposition begins to become less, evenly until the end."""
    velocity: int = Field(0, ge=0, le=64)
    stretch: float = Field(0.0, ge=0, le=0.5)

    def at(self, progress: float) -> AugmentationSettings:
        """The settings when that share of training, 0 to 1, is done."""
        gone = 0.0 if progress <= self.anneal_from else (progress - self.anneal_from) / (1 - self.anneal_from)
        transpose = round(self.transpose + (self.final_transpose - self.transpose) * min(gone, 1.0))
        return AugmentationSettings(transpose=transpose, velocity=self.velocity, stretch=self.stretch)


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


@dataclass(frozen=True)
class Choices(Sequence[Variant]):
    """All variants of a piece that settings leave, each once; `allowed` is what `transpose_range` gives."""

    settings: AugmentationSettings
    allowed: tuple[int, int]

    @property
    def _sizes(self) -> tuple[int, int, int]:
        down, up = self._transpose
        return up - down + 1, 2 * self.settings.velocity + 1, 2 * self._stretches + 1

    @property
    def _transpose(self) -> tuple[int, int]:
        return max(self.allowed[0], -self.settings.transpose), min(self.allowed[1], self.settings.transpose)

    @property
    def _stretches(self) -> int:
        return round(self.settings.stretch * STRETCH_STEPS)

    def __len__(self) -> int:
        transposes, shifts, stretches = self._sizes
        return transposes * shifts * stretches

    @overload
    def __getitem__(self, index: int) -> Variant: ...

    @overload
    def __getitem__(self, index: slice) -> list[Variant]: ...

    def __getitem__(self, index: int | slice) -> Variant | list[Variant]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        transposes, shifts, _ = self._sizes
        rest, transpose = divmod(index, transposes)
        stretch, shift = divmod(rest, shifts)
        factor = (STRETCH_STEPS + stretch - self._stretches) / STRETCH_STEPS
        return Variant(transpose + self._transpose[0], shift - self.settings.velocity, factor)


def apply(notes: Notes, variant: Variant) -> Notes:
    """The piece as that variant, note by note in the same order.

    Drums are never transposed. Velocities stop at 1 and 127. Raises ValueError where a note would leave the pitches
    of MIDI; `transpose_range` says how far a piece can go.
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
    """The tokens of a whole piece as that variant: what encoding its decoded and varied notes would give.

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


def transpose_range(notes: Notes, vocabulary: Vocabulary) -> tuple[int, int]:
    """Semitones (at most 0, at least 0) that the whole piece can go down and up within its instruments' ranges.

    Where a piece itself leaves an instrument's range, what it plays is the range: a bass that is written an octave
    too low goes no lower and still goes up. Drums alone go nowhere.
    """
    pitched = ~notes.drum
    return _room(vocabulary.program_instrument[notes.program[pitched]], notes.pitch[pitched], vocabulary)


def transpose_range_of_tokens(tokens: Tokens, encoding: Encoding) -> tuple[int, int]:
    """What `transpose_range` says of a piece, from its tokens."""
    vocabulary = encoding.vocabulary
    used = np.flatnonzero(np.bincount(encoding.expand(tokens), minlength=vocabulary.note_end)[: vocabulary.note_end])
    row, pitch = np.divmod(used, PITCHES)
    pitched = ~vocabulary.row_is_drum[row]
    return _room(vocabulary.row_instrument[row[pitched]], pitch[pitched], vocabulary)


def draw_variants(
    piece_id: str, copies: int, seed: int, settings: AugmentationSettings, allowed: tuple[int, int]
) -> list[Variant]:
    """The original and `copies` variants of a piece, no two of them equal.

    `allowed` is what `transpose_range` gives. Each variant is one of all possible ones with equal chance, taken from
    a hash of seed, piece and number: the same on any machine, and the first ones stay when more are asked for. Fewer
    come back where the settings leave fewer.
    """
    choices = Choices(settings, allowed)
    drawn = {ORIGINAL: None}
    for number in range(1, min(copies, len(choices) - 1) + 1):
        index = int.from_bytes(hashlib.sha256(f"{seed}:{piece_id}:{number}".encode()).digest()) % len(choices)
        while choices[index] in drawn:
            index = (index + 1) % len(choices)
        drawn[choices[index]] = None
    return list(drawn)


def vary(
    tokens: Tokens, start: int, settings: AugmentationSettings, encoding: Encoding, luck: float
) -> tuple[Tokens, int]:
    """A variant of a piece's tokens, and where the body token `start` of the original lies in it.

    `luck`, from 0 up to 1, says which of all variants that the settings leave. A stretch changes the number of waits,
    so a place in the varied piece is the one at the same share of its tokens.
    """
    choices = Choices(settings.in_time(encoding.time), transpose_range_of_tokens(tokens, encoding))
    varied = apply_to_tokens(tokens, choices[int(luck * len(choices))], encoding)
    body, varied_body = max(len(tokens) - HEADER, 1), len(varied) - HEADER
    return varied, start if body == varied_body else start * varied_body // body


def _room(instrument: NDArray[np.uint8], pitch: NDArray[np.integer], vocabulary: Vocabulary) -> tuple[int, int]:
    """Semitones down and up that notes of these instruments and pitches can go."""
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
    if not ALL_PITCHES[0] <= lowest <= highest <= ALL_PITCHES[1]:
        raise ValueError(f"{variant.transpose:+} semitones lead to pitches {lowest} to {highest} of 0–127")


@compiled
def _moved(
    tokens: Tokens, louder: NDArray[np.uint8], is_drum: NDArray[np.bool_], transpose: int
) -> tuple[Tokens, int, int]:
    """Plain tokens with other pitches and rows (`louder`, by row), and the lowest and highest pitch that came out."""
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
