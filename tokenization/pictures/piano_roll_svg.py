"""Piano rolls as inline SVG: small enough to stand in a web page by the dozen, made without a drawing library.

All notes of an instrument that are about equally loud are one path, and a note costs a dozen bytes. Text and lines
take the colour of the page's text, so a picture is readable on light and on dark ground.
"""

from __future__ import annotations

import html
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.pictures.piano_roll import Roll, by_loudness, one_line
from tokenization.vocabulary import Vocabulary, pitch_name

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


def piano_roll_svg(notes: Notes, vocabulary: Vocabulary, title: str = "", seconds: float = 60.0) -> str:
    """Return the first `seconds` of a piece as an inline `<svg>` element: pitched notes by instrument, drum hits below.

    The picture ends earlier where it would hold more than MOST_NOTES.
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


def standalone(svg: str) -> str:
    """Return an inline picture as the content of an `.svg` file: dark on white."""
    about = (
        'xmlns="http://www.w3.org/2000/svg" width="1600" style="background:#fff;color:#23262b;font-family:sans-serif"'
    )
    return svg.replace("<svg ", f"<svg {about} ", 1)


def _of_drums(roll: Roll) -> NDArray[np.uint8]:
    return roll.notes.velocity[roll.drums]


def _path(form: str, strokes: NDArray[np.int64], opacity: float) -> str:
    """Return strokes, rows of the three numbers of `form`, as one path without repetitions."""
    single = np.unique(strokes, axis=0)
    return f'<path opacity="{opacity}" d="{form * len(single) % tuple(single.ravel().tolist())}"/>'


def _middle(roll: Roll, top: int, pitch: Height) -> Height:
    """Return the vertical position of a pitch's middle."""
    return top + (roll.pitches.stop - 1 - pitch) * PITCH_UNITS + PITCH_UNITS // 2


def _grid(roll: Roll, left: int, top: int, bottom: int, scale: float) -> str:
    """Return a line and a name at every C, and the times below."""
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
    """Return a square and a name for each instrument, in as many lines as needed, and their height."""
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
