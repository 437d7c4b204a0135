"""Piano rolls: a piece as a picture, pitched notes coloured by instrument, drums in a strip below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tokenization.notes import Notes
from tokenization.pianoroll_svg import COLOURS
from tokenization.vocabulary import Vocabulary, pitch_name

INCHES_PER_SECOND = 0.12
SHORTEST_INCHES, LONGEST_INCHES = 9.0, 32.0
FAINTEST = 0.45
"""Opacity of the softest note."""


def draw_piano_roll(notes: Notes, vocabulary: Vocabulary, path: Path, title: str = "") -> None:
    """Write a picture of the notes; the suffix of `path` (`.png`, `.svg`) decides the format."""
    instrument = vocabulary.program_instrument[notes.program].astype(np.int64)
    instrument[notes.drum] = vocabulary.drum_instrument
    width = float(np.clip(notes.seconds * INCHES_PER_SECOND, SHORTEST_INCHES, LONGEST_INCHES))
    figure = Figure(figsize=(width, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    has_drums = bool(notes.drum.any())
    rows = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1], squeeze=False) if has_drums else None
    pitched: Axes = rows[0, 0] if rows is not None else figure.subplots()
    for index in np.unique(instrument[~notes.drum]).tolist():
        name = vocabulary.instruments[index].name
        _bars(pitched, notes, np.flatnonzero(~notes.drum & (instrument == index)), COLOURS[index % len(COLOURS)], name)
    _frame_pitches(pitched, notes)
    bottom = pitched
    if rows is not None:
        bottom = rows[1, 0]
        _hits(bottom, notes)
    bottom.set_xlabel("seconds")
    bottom.set_xlim(0, max(notes.seconds, 1.0))
    pitched.set_title(title, loc="left", fontsize=10)
    figure.savefig(path, dpi=110)


def _bars(axes: Axes, notes: Notes, chosen: NDArray[np.int64], colour: str, label: str) -> None:
    left, right = notes.onset[chosen], (notes.onset + notes.duration)[chosen]
    low = notes.pitch[chosen] - 0.4
    corners = np.stack([left, low, left, low + 0.8, right, low + 0.8, right, low], axis=1).reshape(-1, 4, 2)
    colours = np.tile(to_rgba(colour), (len(chosen), 1))
    colours[:, 3] = FAINTEST + (1 - FAINTEST) * notes.velocity[chosen] / 127
    axes.add_collection(PolyCollection(list(corners), facecolors=colours.tolist(), linewidths=0, label=label))


def _frame_pitches(axes: Axes, notes: Notes) -> None:
    """Show the pitches in use, with a line and a name at every C."""
    used = notes.pitch[~notes.drum]
    low, high = (int(used.min()) - 2, int(used.max()) + 2) if len(used) else (58, 62)
    octaves = [pitch for pitch in range(0, 128, 12) if low <= pitch <= high]
    axes.set_ylim(low, high)
    axes.set_yticks(octaves, [pitch_name(pitch) for pitch in octaves])
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    if len(used):
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8, ncols=10, frameon=False)


def _hits(axes: Axes, notes: Notes) -> None:
    """Drum hits as ticks, one row per percussion key in use."""
    keys, row = np.unique(notes.pitch[notes.drum], return_inverse=True)
    axes.scatter(notes.onset[notes.drum], row, marker="|", s=14, linewidths=1, color="#333333")
    axes.set_yticks([])
    axes.set_ylim(-1, len(keys))
    axes.set_ylabel("drums")
