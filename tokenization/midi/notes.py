"""Notes as columns, in seconds: the form between MIDI and tokens.

A piece is a handful of numpy arrays of equal length, never a list of note objects, so every step from the
parser to the shard is array arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tokenization.midi.standard import DEFAULT_TEMPO

COLUMNS = ("onset", "duration", "pitch", "velocity", "program", "drum")


@dataclass(frozen=True, eq=False)
class TempoMap:
    """The tempos of a piece. Columns have shape (m,), m at least 1."""

    seconds: NDArray[np.float64]
    """Seconds at which each tempo begins, strictly ascending; the first one holds before, too."""
    tempo: NDArray[np.float64]
    """Quarter notes per minute; positive."""

    @classmethod
    def steady(cls, tempo: float) -> TempoMap:
        """Return the map of one tempo throughout."""
        return cls(np.zeros(1), np.array([tempo], np.float64))

    def stretched(self, factor: float) -> TempoMap:
        """Return the map with all times multiplied by a factor."""
        return TempoMap(self.seconds * factor, self.tempo / factor)


@dataclass(frozen=True)
class Notes:
    """The notes of one piece. Every array has shape (n,)."""

    onset: NDArray[np.float64]
    """Seconds from the start of the piece."""
    duration: NDArray[np.float64]
    """Seconds; never negative."""
    pitch: NDArray[np.uint8]
    """MIDI key, 0–127; for drums the General MIDI percussion key."""
    velocity: NDArray[np.uint8]
    """1–127."""
    program: NDArray[np.uint8]
    """General MIDI program, 0–127; without meaning for drums."""
    drum: NDArray[np.bool_]
    tempo: float = DEFAULT_TEMPO
    """Quarter notes per minute, in force for the longest part of the piece."""
    tempo_map: TempoMap | None = field(default=None, compare=False)
    """All tempos of a piece that has several; None: `tempo` throughout."""

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of notes differ in length: {lengths}")

    def __len__(self) -> int:
        return len(self.onset)

    def taken(self, rows: NDArray[np.integer]) -> Notes:
        """Return the notes of these indices, in this order, with the tempos of all."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    @property
    def tempos(self) -> TempoMap:
        """The tempo map, also of a piece with one tempo."""
        return self.tempo_map or TempoMap.steady(self.tempo)

    @property
    def seconds(self) -> float:
        """The end of the last note, counted from time 0."""
        return float((self.onset + self.duration).max()) if len(self) else 0.0

    @classmethod
    def from_columns(
        cls,
        onset: object,
        duration: object,
        pitch: object,
        velocity: object,
        program: object,
        drum: object,
        tempo: float = DEFAULT_TEMPO,
        tempo_map: TempoMap | None = None,
    ) -> Notes:
        """Return notes from any sequences, cast to the columns' types and sorted by onset, then pitch."""
        on = np.asarray(onset, np.float64)
        keys = np.asarray(pitch, np.uint8)
        order = np.lexsort((keys, on))
        return cls(
            on[order],
            np.asarray(duration, np.float64)[order],
            keys[order],
            np.asarray(velocity, np.uint8)[order],
            np.asarray(program, np.uint8)[order],
            np.asarray(drum, np.bool_)[order],
            float(tempo),
            tempo_map,
        )
