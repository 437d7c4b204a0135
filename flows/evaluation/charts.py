"""Charts of an evaluation as inline SVG: distances as multiples of their floors, and histograms of two sets.

Colours come from the page's style sheet, so that charts follow its light and dark themes.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

LINE, NAME_WIDTH, WIDTH, VALUE_WIDTH = 26, 190, 940, 60
TOP, BOTTOM = 8, 30
LEAST, MOST = 0.5, 64.0
"""Multiples of the floor between which the axis lies at most; what is beyond stands at its end."""
WIDEST = 4.0
CHART_WIDTH, CHART_HEIGHT, LEFT, FOOT = 440, 150, 10, 26


@dataclass(frozen=True)
class Line:
    """One measure: the distance as a multiple of the floor, with its interval, and the references."""

    name: str
    value: float
    low: float
    high: float
    references: Mapping[str, float]


def multiples(lines: Sequence[Line]) -> str:
    """Draw a `<figure>` with a row for each measure, on a logarithmic axis whose 1 is the floor."""
    largest = max((max(line.high, line.value, *line.references.values()) for line in lines), default=2.0)
    most = min(max(2 ** math.ceil(math.log2(max(largest, 2.0))), 4.0), MOST)
    room = WIDTH - NAME_WIDTH - VALUE_WIDTH
    height = TOP + LINE * len(lines) + BOTTOM

    def at(multiple: float) -> float:
        share = math.log2(min(max(multiple, LEAST), most) / LEAST) / math.log2(most / LEAST)
        return NAME_WIDTH + share * room

    parts = []
    mark = LEAST
    while mark <= most:
        style = "floor" if mark == 1 else "grid"
        parts.append(f'<path class="{style}" d="M{at(mark):.1f} {TOP}V{height - BOTTOM}"/>')
        parts.append(_text(at(mark), height - 12, f"{mark:g}×", "middle"))
        mark *= 2
    for number, line in enumerate(lines):
        middle = TOP + LINE * (number + 0.5)
        about = ", ".join(
            [f"{line.name}: {line.value:.2f}×", *(f"{name} {each:.2f}×" for name, each in line.references.items())]
        )
        marks = [_mark(name, at(each), middle) for name, each in line.references.items()]
        places = at(line.low), at(line.value), at(line.high)
        parts += _row(middle, line.name, about, marks, places, f"{line.value:.1f}×")
    return (
        f'<figure class="example"><svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="distances as multiples of their floors">{"".join(parts)}</svg></figure>'
    )


@dataclass(frozen=True)
class Apart:
    """The difference of two models by one figure, with its interval."""

    name: str
    value: float
    low: float
    high: float


def differences(lines: Sequence[Apart]) -> str:
    """Draw a `<figure>` with a row for each difference, on an axis whose middle is none.

    It ends at WIDEST times the median difference: what is beyond stands at its end.
    """
    sizes = [max(abs(line.low), abs(line.high)) for line in lines]
    widest = min(max(sizes, default=1.0), WIDEST * median(sizes or [1.0])) or 1.0
    room = WIDTH - NAME_WIDTH - VALUE_WIDTH
    height = TOP + LINE * len(lines) + BOTTOM

    def at(value: float) -> float:
        return NAME_WIDTH + room * (0.5 + min(max(value / widest, -1.0), 1.0) / 2)

    parts = []
    for share in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x = at(share * widest)
        parts.append(f'<path class="{"grid" if share else "floor"}" d="M{x:.1f} {TOP}V{height - BOTTOM}"/>')
        parts.append(_text(x, height - 12, f"{share * widest:+.2g}×" if share else "0", "middle"))
    for number, line in enumerate(lines):
        middle = TOP + LINE * (number + 0.5)
        about = f"{line.name}: {line.value:+.3f} [{line.low:+.3f}, {line.high:+.3f}]"
        places = at(line.low), at(line.value), at(line.high)
        parts += _row(middle, line.name.partition(",")[0], about, [], places, f"{line.value:+.2f}")
    return (
        f'<figure class="example"><svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="differences of distances, as multiples of the floor">{"".join(parts)}</svg></figure>'
    )


def two_histograms(
    title: str, unit: str, real: Sequence[float], samples: Sequence[float], labels: Sequence[tuple[float, str]]
) -> str:
    """Draw a `<figure>` of two sets' histograms or profiles: the real one as bars, that of the samples as a line.

    `labels`: places on the axis in bins, and their texts.
    """
    top = max([*real, *samples, 1e-9])
    low = min([*real, *samples, 0.0])
    floor, height = CHART_HEIGHT - FOOT, CHART_HEIGHT - FOOT - 6
    step = (CHART_WIDTH - 2 * LEFT) / max(len(real), 1)

    def y(value: float) -> float:
        return floor - (value - low) / (top - low) * height

    parts = []
    for index, value in enumerate(real):
        if value > low:
            parts.append(
                f'<rect class="real" x="{LEFT + index * step:.1f}" y="{y(value):.1f}" '
                f'width="{max(step - (1 if step > 4 else 0.2), 0.5):.1f}" height="{floor - y(value):.1f}"/>'
            )
    path = f"M{LEFT} {y(samples[0]):.1f}" if samples else ""
    for index, value in enumerate(samples):
        path += f"V{y(value):.1f}H{LEFT + (index + 1) * step:.1f}"
    parts.append(f'<path class="line" d="{path}"/>')
    for place, text in labels:
        x = LEFT + (place + 0.5) * step
        parts.append(_text(min(max(x, 4 * len(text)), CHART_WIDTH - 4 * len(text)), CHART_HEIGHT - 8, text, "middle"))
    return (
        f"<figure><figcaption>{html.escape(title)} <small>{html.escape(unit)}</small></figcaption>"
        f'<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _row(
    middle: float, name: str, about: str, marks: Sequence[str], places: tuple[float, float, float], value: str
) -> list[str]:
    """Draw a value with its interval, between its name and its number; `places`: of low end, value and high end."""
    low, at, high = places
    return [
        f'<g><title>{html.escape(about)}</title><rect class="hit" x="0" y="{middle - LINE / 2:.1f}" ',
        f'width="{WIDTH}" height="{LINE}"/>',
        _text(NAME_WIDTH - 12, middle + 4, name, "end"),
        *marks,
        f'<path class="interval" d="M{low:.1f} {middle:.1f}H{high:.1f}"/>',
        f'<circle class="bar" cx="{at:.1f}" cy="{middle:.1f}" r="5"/>',
        _text(WIDTH - 2, middle + 4, value, "end"),
        "</g>",
    ]


def _mark(name: str, x: float, y: float) -> str:
    """Draw a reference: a diamond for the n-gram, a cross for noise."""
    if name == "noise":
        return f'<path class="mark" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>'
    return f'<path class="mark" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{html.escape(text)}</text>'
