"""Piano rolls as SVG text: small enough to stand in a web page by the dozen, made without a drawing library.

All notes of an instrument that are about equally loud are one path, and a note costs a dozen bytes. Text and lines
take the colour of the page's text, so a picture is readable on light and on dark ground.
"""

from __future__ import annotations

import html

import numpy as np
from numpy.typing import NDArray

from tokenization.notes import Notes
from tokenization.vocabulary import Vocabulary, pitch_name

COLOURS = (
    *("#3b6fb6", "#c8453b", "#8c2f6b", "#4b8b3b", "#d98a1f", "#2aa198", "#6c71c4", "#b58900", "#859900", "#555555"),
)
"""One per instrument in the vocabulary's order, from the start again where there are more."""

WIDTH = 4000
"""Units of the time axis; a quarter of a pixel each where a picture is 1,000 pixels wide."""
LEFT, RIGHT, TOP = 170, 60, 110
"""Units around the notes: for the names of pitches on the left, for times on the right, for the legend above."""
PITCH_UNITS, DRUM_UNITS, GAP, TIMES_UNITS = 16, 24, 40, 90
"""Heights of a pitch, of a percussion key, of the room between both and of the line of times."""
FONT_UNITS = 52
FEWEST_PITCHES = 24
LOUDNESS = ((0, 0.5), (48, 0.75), (88, 1.0))
"""Least velocity and opacity of each step of loudness."""
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
MOST_TIMES = 12
MOST_NOTES = 3000


def pianoroll_svg(notes: Notes, vocabulary: Vocabulary, title: str = "", seconds: float = 60.0) -> str:
    """The first `seconds` of a piece as an inline `<svg>` element: pitched notes by instrument, drum hits below.

    Where more than MOST_NOTES would be shown, the picture ends before them.
    """
    starts = np.sort(notes.onset)
    shown = min(seconds, max(notes.seconds, 1.0), float(starts[MOST_NOTES]) if len(starts) > MOST_NOTES else np.inf)
    shown = max(shown, 1.0)
    first = notes.onset < shown
    pitched, drums = np.flatnonzero(first & ~notes.drum), np.flatnonzero(first & notes.drum)
    low, high = _pitch_range(notes.pitch[pitched])
    keys, key_row = np.unique(notes.pitch[drums], return_inverse=True)
    pitched_height = (high - low + 1) * PITCH_UNITS
    drum_top = TOP + pitched_height + GAP
    bottom = drum_top + len(keys) * DRUM_UNITS if len(keys) else TOP + pitched_height
    height = bottom + TIMES_UNITS

    scale = (WIDTH - LEFT - RIGHT) / shown
    left = np.rint(LEFT + notes.onset * scale).astype(np.int64)
    right = np.rint(LEFT + np.minimum(notes.onset + notes.duration, shown) * scale).astype(np.int64)
    instrument = vocabulary.program_instrument[notes.program].astype(np.int64)
    middle = TOP + (high - notes.pitch.astype(np.int64)) * PITCH_UNITS + PITCH_UNITS // 2
    parts = [_grid(low, high, shown, scale, bottom)]
    for index in np.unique(instrument[pitched]).tolist():
        chosen = pitched[instrument[pitched] == index]
        bars = np.stack([left[chosen], middle[chosen], np.maximum(right[chosen] - left[chosen], 4)], axis=1)
        paths = _by_loudness("M%d %dh%d", bars, notes.velocity[chosen])
        parts.append(f'<g stroke="{_colour(index)}" stroke-width="{PITCH_UNITS - 3}">{paths}</g>')
    if len(keys):
        rows = drum_top + key_row.astype(np.int64) * DRUM_UNITS
        hits = np.stack([left[drums], rows, np.full(len(drums), DRUM_UNITS - 6)], axis=1)
        paths = _by_loudness("M%d %dv%d", hits, notes.velocity[drums])
        parts.append(f'<g stroke="currentColor" stroke-width="7">{paths}</g>')
        parts.append(_text(LEFT - 20, (drum_top + bottom) // 2 + 16, "drums", "end"))
    parts.append(_legend(vocabulary, np.unique(instrument[pitched]).tolist()))
    name = f"<title>{html.escape(title)}</title>" if title else ""
    return (
        f'<svg class="roll" viewBox="0 0 {WIDTH} {height}" role="img" font-size="{FONT_UNITS}" fill="none">'
        f"{name}{''.join(parts)}</svg>"
    )


def _pitch_range(pitch: NDArray[np.uint8]) -> tuple[int, int]:
    """Lowest and highest pitch to show: those in use with one around, and no fewer than FEWEST_PITCHES."""
    low, high = (int(pitch.min()) - 1, int(pitch.max()) + 1) if len(pitch) else (60, 60)
    missing = max(FEWEST_PITCHES - (high - low + 1), 0)
    return low - missing // 2, high + missing - missing // 2


def _by_loudness(form: str, strokes: NDArray[np.int64], velocity: NDArray[np.uint8]) -> str:
    """Strokes (rows of three numbers that `form` says) as one path for each step of loudness."""
    step = np.searchsorted([least for least, _ in LOUDNESS], velocity, side="right") - 1
    paths = []
    for number, (_, opacity) in enumerate(LOUDNESS):
        chosen = np.unique(strokes[step == number], axis=0)
        if len(chosen):
            path = form * len(chosen) % tuple(chosen.ravel().tolist())
            paths.append(f'<path opacity="{opacity}" d="{path}"/>')
    return "".join(paths)


def _grid(low: int, high: int, shown: float, scale: float, bottom: int) -> str:
    """A line and a name at every C, times below."""
    lines, parts = "", []
    for pitch in range(-(-low // 12) * 12, high + 1, 12):
        at = TOP + (high - pitch) * PITCH_UNITS + PITCH_UNITS // 2
        lines += f"M{LEFT} {at}H{WIDTH - RIGHT}"
        parts.append(_text(LEFT - 20, at + 17, pitch_name(pitch), "end"))
    step = next((step for step in TIME_STEPS if shown / step <= MOST_TIMES), TIME_STEPS[-1])
    for second in range(0, int(shown) + 1, step):
        at = round(LEFT + second * scale)
        lines += f"M{at} {TOP}V{bottom}"
        parts.append(_text(at, bottom + 64, f"{second // 60}:{second % 60:02}", "middle"))
    return f'<path d="{lines}" stroke="currentColor" opacity="0.15" stroke-width="3"/>{"".join(parts)}'


def _legend(vocabulary: Vocabulary, instruments: list[int]) -> str:
    parts, at = [], LEFT
    for index in instruments:
        name = vocabulary.instruments[index].name
        parts.append(f'<rect x="{at}" y="32" width="40" height="40" fill="{_colour(index)}"/>')
        parts.append(_text(at + 56, 70, name, "start"))
        at += 120 + len(name) * FONT_UNITS * 6 // 10
    return "".join(parts)


def _text(x: int, y: int, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor">{html.escape(text)}</text>'


def _colour(instrument: int) -> str:
    return COLOURS[instrument % len(COLOURS)]
