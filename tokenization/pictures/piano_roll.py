"""The content of a piano roll, whatever draws it: the notes, pitches, percussion keys, colours and times to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary
from tokenization.vocabulary.general_midi import percussion_name

COLOURS = (
    *("#3b6fb6", "#c8453b", "#8c2f6b", "#4b8b3b", "#d98a1f", "#2aa198", "#b050f0", "#a8a800", "#703808", "#10b0f0"),
    *("#f82090", "#105028", "#4028b8", "#a0a0d0", "#786800", "#006870", "#d09090"),
)
"""Colours of instruments in the vocabulary's order, repeated where there are more. Any two differ by more than 20
(CIEDE2000), and none is near the grey of lines or the black of drums."""
LOUDNESS = ((0, 0.5), (48, 0.75), (88, 1.0))
"""Least velocity and opacity of each step of loudness."""
FEWEST_PITCHES = 24
MIDDLE_PITCH = 60
"""Middle of a roll without notes."""
MOST_NAMED_KEYS = 16
"""Percussion keys up to which a strip has room for their names."""
HOUR = 3600
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, HOUR)


@dataclass(frozen=True, eq=False)
class Roll:
    """The content of a picture of some notes."""

    notes: Notes
    vocabulary: Vocabulary
    seconds: float
    """Length that is shown, from the beginning; at least 1."""

    @classmethod
    def of(cls, notes: Notes, vocabulary: Vocabulary, seconds: float = np.inf) -> Roll:
        """Return the roll of a piece, or of its first `seconds`."""
        return cls(notes, vocabulary, max(min(seconds, notes.seconds), 1.0))

    @cached_property
    def pitched(self) -> NDArray[np.int64]:
        """Indices of the pitched notes that are shown."""
        return np.flatnonzero((self.notes.onset < self.seconds) & ~self.notes.drum)

    @cached_property
    def drums(self) -> NDArray[np.int64]:
        """Indices of the drum hits that are shown."""
        return np.flatnonzero((self.notes.onset < self.seconds) & self.notes.drum)

    @cached_property
    def pitches(self) -> range:
        """The pitches to show: those in use and one on each side, at least FEWEST_PITCHES; none for drums alone."""
        pitch = self.notes.pitch[self.pitched].astype(np.int64)
        if not len(pitch) and len(self.drums):
            return range(0)
        low, high = (int(pitch.min()) - 1, int(pitch.max()) + 1) if len(pitch) else (MIDDLE_PITCH, MIDDLE_PITCH)
        missing = max(FEWEST_PITCHES - (high - low + 1), 0)
        low, high = low - missing // 2, high + missing - missing // 2
        above, below = max(high - 127, 0), max(-low, 0)
        return range(max(low - above, 0), min(high + below, 127) + 1)

    @property
    def octaves(self) -> list[int]:
        """Every C to show."""
        return [pitch for pitch in self.pitches if pitch % 12 == 0]

    @cached_property
    def keys(self) -> NDArray[np.uint8]:
        """The percussion keys in use, ascending."""
        return np.unique(self.notes.pitch[self.drums])

    @property
    def key_rows(self) -> NDArray[np.int64]:
        """Index in `keys` of each of `drums`."""
        return np.searchsorted(self.keys, self.notes.pitch[self.drums])

    @property
    def key_names(self) -> list[str]:
        """The names of `keys`; empty where they are too many for names."""
        return [percussion_name(key) for key in self.keys.tolist()] if len(self.keys) <= MOST_NAMED_KEYS else []

    @cached_property
    def instrument(self) -> NDArray[np.int64]:
        """The vocabulary's instrument for each of `pitched`."""
        return self.vocabulary.program_instrument[self.notes.program[self.pitched]].astype(np.int64)

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Names and colours of the pitched instruments in use."""
        used = np.unique(self.instrument).tolist()
        return [(self.vocabulary.instruments[index].name, COLOURS[index % len(COLOURS)]) for index in used]

    def voices(self) -> Iterator[tuple[str, float, NDArray[np.int64]]]:
        """Yield colour, opacity and positions in `pitched` of all notes that look alike."""
        for index in np.unique(self.instrument).tolist():
            chosen = np.flatnonzero(self.instrument == index)
            for opacity, which in by_loudness(self.notes.velocity[self.pitched[chosen]]):
                yield COLOURS[index % len(COLOURS)], opacity, chosen[which]

    def times(self, most: int) -> list[tuple[int, str]]:
        """Return about `most` round times at most, in seconds, with their labels: `1:30`, `2:00:00`."""
        hours = -(-int(self.seconds) // (most * HOUR)) * HOUR
        step = next((step for step in TIME_STEPS if self.seconds / step <= most), hours)
        return [(second, _clock_time(second)) for second in range(0, int(self.seconds) + 1, step)]


def by_loudness(velocity: NDArray[np.uint8]) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """Yield opacity and positions of the velocities of each step of LOUDNESS that has any."""
    step = np.searchsorted([least for least, _ in LOUDNESS], velocity, side="right") - 1
    for number, (_, opacity) in enumerate(LOUDNESS):
        chosen = np.flatnonzero(step == number)
        if len(chosen):
            yield opacity, chosen


def one_line(text: str) -> str:
    """Return a title without line breaks and unprintable characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _clock_time(second: int) -> str:
    hours, minutes = divmod(second // 60, 60)
    return f"{hours}:{minutes:02}:{second % 60:02}" if hours else f"{minutes}:{second % 60:02}"
