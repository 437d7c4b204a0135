"""Piano rolls as SVG text: small enough to stand in a web page by the dozen, made without a drawing library.

All notes of an instrument that are about equally loud are one path, and a note costs a dozen bytes. Text and lines
take the colour of the page's text, so a picture is readable on light and on dark ground. What a roll shows and in
which colours, `Roll`, holds for the pictures of `tokenization.pictures.pianoroll` too.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary, pitch_name
from tokenization.vocabulary.general_midi import percussion_name

COLOURS = (
    *("#3b6fb6", "#c8453b", "#8c2f6b", "#4b8b3b", "#d98a1f", "#2aa198", "#b050f0", "#a8a800", "#703808", "#10b0f0"),
    *("#f82090", "#105028", "#4028b8", "#a0a0d0", "#786800", "#006870", "#d09090"),
)
"""One per instrument in the vocabulary's order, from the start again where there are more. Any two differ by more than
20 (CIEDE2000), and none is near the grey of lines or the black of drums."""
LOUDNESS = ((0, 0.5), (48, 0.75), (88, 1.0))
"""Least velocity and opacity of each step of loudness."""
FEWEST_PITCHES = 24
MIDDLE_PITCH = 60
"""What a roll without notes shows."""
MOST_NAMED_KEYS = 16
"""Percussion keys in a strip with their names; of more there is no room for names."""
HOUR = 3600
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, HOUR)

WIDTH = 4000
"""Units of the time axis; a quarter of a pixel each where a picture is 1,000 pixels wide."""
LEFT, RIGHT, TOP = 170, 60, 40
"""Units around the notes: at least, for names on the left; for times on the right; above, without the legend."""
PITCH_UNITS, DRUM_UNITS, NAMED_DRUM_UNITS, GAP, TIMES_UNITS = 16, 24, 46, 40, 90
"""Heights of a pitch, of a percussion key without and with its name, of the room between both and of the line of
times."""
FONT_UNITS, KEY_FONT_UNITS, LEGEND_UNITS = 52, 40, 70
LETTER = 0.6
"""Width of a letter, in parts of its height; more than most letters need."""
SHORTEST, BETWEEN = 4, 3
"""Units of the shortest bar, and of the room that a longer one leaves before the next note of its pitch."""
MOST_TIMES = 12
MOST_NOTES = 3000

Height = TypeVar("Height", int, NDArray[np.int64])


@dataclass(frozen=True, eq=False)
class Roll:
    """What a picture of some notes shows, whatever draws it."""

    notes: Notes
    vocabulary: Vocabulary
    seconds: float
    """How much of them, from the beginning; at least 1."""

    @classmethod
    def of(cls, notes: Notes, vocabulary: Vocabulary, seconds: float = np.inf) -> Roll:
        """The piece, or its first `seconds`."""
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
        """The pitches to show: those in use with one around, no fewer than FEWEST_PITCHES; none for drums alone."""
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
        """Colour, opacity and positions in `pitched` of all that is drawn alike."""
        for index in np.unique(self.instrument).tolist():
            chosen = np.flatnonzero(self.instrument == index)
            for opacity, which in by_loudness(self.notes.velocity[self.pitched[chosen]]):
                yield COLOURS[index % len(COLOURS)], opacity, chosen[which]

    def times(self, most: int) -> list[tuple[int, str]]:
        """No more than about `most` round times in seconds, and what they are called: `1:30`, `2:00:00`."""
        hours = -(-int(self.seconds) // (most * HOUR)) * HOUR
        step = next((step for step in TIME_STEPS if self.seconds / step <= most), hours)
        return [(second, _clock_time(second)) for second in range(0, int(self.seconds) + 1, step)]


def by_loudness(velocity: NDArray[np.uint8]) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """Opacity and positions of the velocities of each step of LOUDNESS that has any."""
    step = np.searchsorted([least for least, _ in LOUDNESS], velocity, side="right") - 1
    for number, (_, opacity) in enumerate(LOUDNESS):
        chosen = np.flatnonzero(step == number)
        if len(chosen):
            yield opacity, chosen


def one_line(text: str) -> str:
    """A title without line breaks and without what cannot be shown."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def pianoroll_svg(notes: Notes, vocabulary: Vocabulary, title: str = "", seconds: float = 60.0) -> str:
    """The first `seconds` of a piece as an inline `<svg>` element: pitched notes by instrument, drum hits below.

    Where more than MOST_NOTES would be shown, the picture ends before them.
    """
    starts = np.sort(notes.onset)
    roll = Roll.of(notes, vocabulary, min(seconds, float(starts[MOST_NOTES]) if len(starts) > MOST_NOTES else np.inf))
    names = roll.key_names
    margin = max(LEFT, 30 + max((_width(name, KEY_FONT_UNITS) for name in names), default=0))
    legend, legend_height = _legend(roll, margin)
    top = TOP + legend_height
    drum_top = top + len(roll.pitches) * PITCH_UNITS + (GAP if len(roll.pitches) and len(roll.keys) else 0)
    drum_units = NAMED_DRUM_UNITS if names else DRUM_UNITS
    bottom = drum_top + len(roll.keys) * drum_units

    scale = (WIDTH - margin - RIGHT) / roll.seconds
    left = np.rint(margin + notes.onset * scale).astype(np.int64)
    right = np.rint(margin + np.minimum(notes.onset + notes.duration, roll.seconds) * scale).astype(np.int64)
    length = np.maximum(right - left - BETWEEN, SHORTEST)
    bars = np.stack([left, _middle(roll, top, notes.pitch.astype(np.int64)), length], axis=1)[roll.pitched]
    rows = drum_top + (len(roll.keys) - 1 - roll.key_rows) * drum_units
    hits = np.stack([left[roll.drums], rows + 3, np.full(len(rows), drum_units - 6)], axis=1)

    parts = [_grid(roll, margin, top, bottom, scale), legend]
    paths: dict[str, str] = {}
    for colour, opacity, chosen in roll.voices():
        paths[colour] = paths.get(colour, "") + _path("M%d %dh%d", bars[chosen], opacity)
    parts += [f'<g stroke="{colour}" stroke-width="{PITCH_UNITS - 3}">{text}</g>' for colour, text in paths.items()]
    if len(hits):
        strokes = (_path("M%d %dv%d", hits[chosen], opacity) for opacity, chosen in by_loudness(_of_drums(roll)))
        parts.append(f'<g stroke="currentColor" stroke-width="7">{"".join(strokes)}</g>')
        if names:
            first = drum_top + drum_units // 2 + KEY_FONT_UNITS // 3
            lines = enumerate(reversed(names))
            texts = "".join(_text(margin - 20, first + row * drum_units, name, "end") for row, name in lines)
            parts.append(f'<g font-size="{KEY_FONT_UNITS}">{texts}</g>')
        else:
            parts.append(_text(margin - 20, (drum_top + bottom) // 2 + 16, "drums", "end"))
    heading = f"<title>{html.escape(one_line(title))}</title>" if title else ""
    return (
        f'<svg class="roll" viewBox="0 0 {WIDTH} {bottom + TIMES_UNITS}" role="img" font-size="{FONT_UNITS}" '
        f'fill="none">{heading}{"".join(parts)}</svg>'
    )


def _of_drums(roll: Roll) -> NDArray[np.uint8]:
    return roll.notes.velocity[roll.drums]


def _path(form: str, strokes: NDArray[np.int64], opacity: float) -> str:
    """Strokes (rows of three numbers that `form` says), each once, as one path."""
    single = np.unique(strokes, axis=0)
    return f'<path opacity="{opacity}" d="{form * len(single) % tuple(single.ravel().tolist())}"/>'


def _middle(roll: Roll, top: int, pitch: Height) -> Height:
    """Height of a pitch's middle."""
    return top + (roll.pitches.stop - 1 - pitch) * PITCH_UNITS + PITCH_UNITS // 2


def _grid(roll: Roll, left: int, top: int, bottom: int, scale: float) -> str:
    """A line and a name at every C, times below."""
    lines, parts = "", []
    for pitch in roll.octaves:
        at = _middle(roll, top, pitch)
        lines += f"M{left} {at}H{WIDTH - RIGHT}"
        parts.append(_text(left - 20, at + 17, pitch_name(pitch), "end"))
    for second, label in roll.times(MOST_TIMES):
        at = round(left + second * scale)
        lines += f"M{at} {top}V{bottom}"
        parts.append(_text(at, bottom + 64, label, "middle"))
    return f'<path d="{lines}" stroke="currentColor" opacity="0.15" stroke-width="3"/>{"".join(parts)}'


def _legend(roll: Roll, left: int) -> tuple[str, int]:
    """A square and a name for each instrument, in as many lines as it takes, and their height."""
    parts, at, line = [], left, 0
    for name, colour in roll.legend:
        width = 120 + _width(name, FONT_UNITS)
        if at > left and at + width > WIDTH:
            at, line = left, line + 1
        y = 32 + line * LEGEND_UNITS
        parts.append(f'<rect x="{at}" y="{y}" width="40" height="40" fill="{colour}"/>')
        parts.append(_text(at + 56, y + 38, name, "start"))
        at += width
    return "".join(parts), (line + 1) * LEGEND_UNITS if parts else 0


def _text(x: int, y: int, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor">{html.escape(text)}</text>'


def _width(text: str, size: int) -> int:
    return int(len(text) * size * LETTER)


def _clock_time(second: int) -> str:
    hours, minutes = divmod(second // 60, 60)
    return f"{hours}:{minutes:02}:{second % 60:02}" if hours else f"{minutes}:{second % 60:02}"
