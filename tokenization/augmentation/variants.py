"""Variants of a piece: the settings that bound them, all that are possible, and those that are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tokenization.encodings import Time

VERSION = 1
"""Raised whenever the same piece, seed and settings would give other variants; part of every dataset's digest."""

SOFTEST, LOUDEST = 1, 127
"""MIDI velocities of notes."""
STRETCH_STEPS = 1000
"""Stretches are drawn in steps of a thousandth, so that they can be written down in short."""


class AugmentationSettings(BaseModel):
    """The bounds within which variants differ from the original. Zero switches a kind of change off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transpose: int = Field(6, ge=0, le=24)
    """Semitones up or down, for pitched notes; less where an instrument's range ends."""
    velocity: int = Field(12, ge=0, le=64)
    """Steps of MIDI velocity louder or softer, for all notes."""
    stretch: float = Field(0.05, ge=0, le=0.5)
    """Share of the time by which a piece may get longer or shorter. Encodings in beats ignore it: to them a stretch
    is another tempo and nothing else."""

    def in_time(self, time: Time) -> AugmentationSettings:
        """Return the settings without what has no effect where ticks count that."""
        return self if time is Time.SECONDS else self.model_copy(update={"stretch": 0.0})


class AugmentationSchedule(BaseModel):
    """The bounds of augmentation in the training loader; transposition is annealed as training goes on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transpose: int = Field(0, ge=0, le=24)
    """Semitones up or down at first."""
    final_transpose: int = Field(0, ge=0, le=24)
    """Semitones up or down at the end of training."""
    anneal_from: float = Field(0.5, ge=0, le=1)
    """Share of training after which transposition changes linearly to its final value."""
    velocity: int = Field(0, ge=0, le=64)
    """Steps of MIDI velocity louder or softer."""
    stretch: float = Field(0.0, ge=0, le=0.5)
    """Share of the time by which a piece may get longer or shorter."""

    def at(self, progress: float) -> AugmentationSettings:
        """Return the settings when that share of training, 0 to 1, is done."""
        annealed = 0.0 if progress <= self.anneal_from else (progress - self.anneal_from) / (1 - self.anneal_from)
        transpose = round(self.transpose + (self.final_transpose - self.transpose) * min(annealed, 1.0))
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
        """Check the stretch. Raises ValueError unless it is positive and finite."""
        if not 0 < self.stretch < np.inf:
            raise ValueError(f"a stretch is a positive factor, not {self.stretch}")


ORIGINAL = Variant()


@dataclass(frozen=True)
class Choices(Sequence[Variant]):
    """All variants of a piece within the settings, each once, as a lazy sequence."""

    settings: AugmentationSettings
    allowed: tuple[int, int]
    """Semitones down (at most 0) and up (at least 0), as `transpose_range` returns them."""

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """Numbers of transpositions, velocity shifts and stretches."""
        down, up = self._transpose
        return up - down + 1, 2 * self.settings.velocity + 1, 2 * self._stretches + 1

    @property
    def _transpose(self) -> tuple[int, int]:
        """Semitones down and up."""
        return max(self.allowed[0], -self.settings.transpose), min(self.allowed[1], self.settings.transpose)

    @property
    def _stretches(self) -> int:
        """Number of stretches to either side of 1."""
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


def draw_variants(
    piece_id: str, copies: int, seed: int, settings: AugmentationSettings, allowed: tuple[int, int]
) -> list[Variant]:
    """Return the original and `copies` variants of a piece, no two of them equal.

    `allowed`: what `transpose_range` returns. Each variant is drawn uniformly from all possible ones, by a hash of
    seed, piece and number: the same on any machine, and the first ones stay when more are asked for. Fewer are
    returned if the settings allow fewer.
    """
    choices = Choices(settings, allowed)
    drawn = {ORIGINAL: None}
    for number in range(1, min(copies, len(choices) - 1) + 1):
        index = int.from_bytes(hashlib.sha256(f"{seed}:{piece_id}:{number}".encode()).digest()) % len(choices)
        while choices[index] in drawn:
            index = (index + 1) % len(choices)
        drawn[choices[index]] = None
    return list(drawn)
