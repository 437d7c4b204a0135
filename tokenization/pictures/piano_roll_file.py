"""Piano rolls of whole pieces as PNG or SVG files: pitched notes coloured by instrument, drums in a strip below.

Importing this module imports matplotlib.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.pictures.piano_roll import Roll, by_loudness, one_line
from tokenization.vocabulary import Vocabulary, pitch_name

Picture = Literal["png", "svg"]
PICTURES: dict[str, Picture] = {".png": "png", ".svg": "svg"}
"""By the suffix of a file's name."""

DOTS_PER_INCH = 110
INCHES_PER_SECOND = 0.12
SHORTEST_INCHES, LONGEST_INCHES = 9.0, 32.0
# All in inches.
LEFT, RIGHT, TOP, BOTTOM, GAP = 0.55, 0.3, 0.12, 0.38, 0.12
TITLE, LEGEND_LINE = 0.3, 0.22
PITCH, LOWEST_ROLL, HIGHEST_ROLL = 0.08, 2.9, 6.0
KEY, NAMED_KEY, HIGHEST_STRIP = 0.07, 0.15, 4.0
LETTER = 0.075
"""Width of a letter of 8 points, more than most need."""
TIMES_PER_INCH = 1.2
SHORTEST_BAR = 2 / DOTS_PER_INCH
BESIDE = 3 / DOTS_PER_INCH
"""Room before the first note and behind the last."""
BETWEEN = 1 / DOTS_PER_INCH
"""Room that a bar leaves before the next note of its pitch, if it is long enough."""
HALF_BAR = 0.42
"""In rows."""
CURVE = 0.7
"""Height of a curve of scores, the gap above it included, in inches."""
DRUM_COLOUR = "#222222"
GRID_COLOUR = "#dddddd"


def draw_piano_roll(
    notes: Notes,
    vocabulary: Vocabulary,
    title: str = "",
    picture: Picture = "png",
    curve: Sequence[tuple[float, float]] = (),
) -> bytes:
    """Return a picture of all notes as the bytes of a file. Equal arguments give equal bytes.

    `curve`: seconds and a score from 0 to 1 at each, drawn below the notes.
    """
    roll = Roll.of(notes, vocabulary)
    names = roll.key_names
    left = max(LEFT, 0.2 + LETTER * max(map(len, names), default=0))
    width = float(np.clip(roll.seconds * INCHES_PER_SECOND, SHORTEST_INCHES, LONGEST_INCHES))
    inside = width - left - RIGHT
    heading = one_line(title)
    columns = max(int(inside / (0.5 + LETTER * max((len(name) for name, _ in roll.legend), default=0))), 1)
    above = TOP + TITLE * bool(heading) + LEGEND_LINE * -(-len(roll.legend) // columns)
    rolled = float(np.clip(len(roll.pitches) * PITCH, LOWEST_ROLL, HIGHEST_ROLL)) if roll.pitches else 0.0
    strip = min(len(roll.keys) * (NAMED_KEY if names else KEY), HIGHEST_STRIP)
    between = GAP if rolled and strip else 0.0
    scores = CURVE if len(curve) > 1 else 0.0
    height = above + rolled + between + strip + scores + BOTTOM

    per_inch = roll.seconds / (inside - 2 * BESIDE)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def place(bottom: float, high: float) -> Axes:
        axes = figure.add_axes((left / width, bottom / height, inside / width, high / height))
        axes.set_xlim(-BESIDE * per_inch, roll.seconds + BESIDE * per_inch)
        times = roll.times(int(inside * TIMES_PER_INCH))
        axes.set_xticks([second for second, _ in times], [label for _, label in times], fontsize=8)
        axes.grid(color=GRID_COLOUR, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, pad=5)
        axes.spines[:].set_color(GRID_COLOUR)
        axes.spines[["left", "right"]].set_visible(False)
        return axes

    if rolled:
        axes = place(BOTTOM + scores + strip + between, rolled)
        axes.tick_params(labelbottom=not strip and not scores)
        _draw_pitches(axes, roll, per_inch)
    if strip:
        axes = place(BOTTOM + scores, strip)
        axes.tick_params(labelbottom=not scores)
        _draw_hits(axes, roll, per_inch)
    if scores:
        _draw_curve(place(BOTTOM, scores - GAP), curve)
    if heading:
        most = int(inside / LETTER / 1.2)
        shown = heading if len(heading) <= most else heading[: most - 1] + "…"
        figure.text(left / width, 1 - TOP / height, shown, fontsize=10, va="top", parse_math=False)
    if roll.legend:
        figure.legend(
            handles=[Patch(color=colour, label=name) for name, colour in roll.legend],
            loc="upper left",
            bbox_to_anchor=(left / width, 1 - (TOP + TITLE * bool(heading)) / height),
            ncols=columns,
            fontsize=8,
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            handlelength=0.9,
            handleheight=0.9,
        )
    return _bytes_of(figure, picture)


def _draw_pitches(axes: Axes, roll: Roll, per_inch: float) -> None:
    """Draw bars for the pitched notes; `per_inch`: seconds."""
    axes.set_ylim(roll.pitches.start - 0.5, roll.pitches.stop - 0.5)
    axes.set_yticks(roll.octaves, [pitch_name(pitch) for pitch in roll.octaves], fontsize=8)
    notes, chosen = roll.notes, roll.pitched
    left = notes.onset[chosen]
    length = np.maximum(notes.duration[chosen] - BETWEEN * per_inch, SHORTEST_BAR * per_inch)
    corners = _rectangles(left, left + length, notes.pitch[chosen])
    for colour, opacity, alike in roll.voices():
        _fill(axes, corners[alike], colour, opacity)


def _draw_curve(axes: Axes, curve: Sequence[tuple[float, float]]) -> None:
    """Draw scores from 0 to 1 as a line."""
    axes.set_ylim(-0.05, 1.05)
    axes.set_yticks([0, 1], ["0", "score 1"], fontsize=8)
    axes.plot([seconds for seconds, _ in curve], [score for _, score in curve], color=DRUM_COLOUR, linewidth=1.2)


def _draw_hits(axes: Axes, roll: Roll, per_inch: float) -> None:
    """Draw drum hits as strokes, one row per percussion key in use; `per_inch`: seconds."""
    names, rows = roll.key_names, roll.key_rows
    axes.set_ylim(-0.5, len(roll.keys) - 0.5)
    if names:
        axes.set_yticks(np.arange(len(names)), names, fontsize=7)
    else:
        axes.set_yticks([(len(roll.keys) - 1) / 2], ["drums"], fontsize=8)
        axes.grid(visible=False, axis="y")
    left = roll.notes.onset[roll.drums]
    corners = _rectangles(left, left + SHORTEST_BAR * per_inch, rows)
    for opacity, alike in by_loudness(roll.notes.velocity[roll.drums]):
        _fill(axes, corners[alike], DRUM_COLOUR, opacity)


def _rectangles(left: NDArray[np.float64], right: NDArray[np.float64], row: NDArray[Any]) -> NDArray[np.float64]:
    """Return the corners of bars around the middles of rows, shape (n, 4, 2)."""
    low, high = row - HALF_BAR, row + HALF_BAR
    return np.stack([left, low, left, high, right, high, right, low], axis=1).reshape(-1, 4, 2)


def _fill(axes: Axes, corners: NDArray[np.float64], colour: str, opacity: float) -> None:
    path = Path.make_compound_path_from_polys(corners)
    # Not add_patch, which would go through all corners once more to find limits that are set already.
    axes.add_artist(PathPatch(path, facecolor=colour, alpha=opacity, linewidth=0))


def _bytes_of(figure: Figure, picture: Picture) -> bytes:
    buffer = io.BytesIO()
    # Letters that the font lacks are drawn as boxes, which needs no warning; ids and dates would differ each time.
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "piano roll"}):
        warnings.simplefilter("ignore", UserWarning)
        metadata = {"Date": None} if picture == "svg" else None
        figure.savefig(buffer, format=picture, dpi=DOTS_PER_INCH, metadata=metadata)
    return buffer.getvalue()
