"""Charts as inline SVG: vertical bars for distributions, horizontal bars for named values.

Colours come from the page's style sheet (`.bar`, `.grid`), so that charts follow its light and dark themes. Values are
shown on hover.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 46
LINE, LABEL_WIDTH, VALUE_WIDTH = 22, 150, 110
GRID_LINES = 4
NICE = (1, 2, 2.5, 5, 10)
THOUSANDS = ((1e9, " G"), (1e6, " M"), (1e3, " k"))


@dataclass(frozen=True)
class Tick:
    """A label on the axis below the bars."""

    at: float
    """In bars: 0 is the left edge of the first, 0.5 its middle."""
    label: str


def compact(value: float) -> str:
    """Format a number in three digits and a unit of thousands: `950`, `1.2 k`, `15 M`."""
    for size, name in THOUSANDS:
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{name}" if value < 999.5 * size else f"{value / size:,.0f}{name}"
    return f"{value:.3g}"


def histogram(title: str, counts: Sequence[int], names: Sequence[str], ticks: Sequence[Tick], x: str, y: str) -> str:
    """Draw a `<figure>` of vertical bars, one per count; `names` label the bars, `x` and `y` the axes."""
    room, height = (WIDTH - LEFT - RIGHT) / max(len(counts), 1), HEIGHT - TOP - BOTTOM
    total, step = sum(counts), _grid_step(max(counts, default=0))
    top = max(-(-max(counts, default=0) // step) * step, step)
    floor = HEIGHT - BOTTOM
    parts = []
    for line in range(int(top / step) + 1):
        at = floor - line * step / top * height
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, at + 4, compact(line * step), "end"))
    for index, (count, name) in enumerate(zip(counts, names)):
        if count:
            tall = max(count / top * height, 1)
            left, wide = LEFT + index * room, max(room - (1.5 if room > 5 else 0.3), 0.8)
            parts.append(
                f"<g><title>{_escape(name)}: {count:,} ({count / total:.1%})</title>"
                f'<rect class="hit" x="{left:.1f}" y="{TOP}" width="{room:.1f}" height="{height}"/>'
                f'<rect class="bar" x="{left:.1f}" y="{floor - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}"/></g>'
            )
    parts += [_text(LEFT + tick.at * room, floor + 17, tick.label, "middle") for tick in ticks]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x, "middle", "axis"))
    return _figure(title, y, WIDTH, HEIGHT, parts)


def named_bars(title: str, values: dict[str, int], unit: str, whole: int) -> str:
    """Draw a `<figure>` of horizontal bars with their names, values and shares of `whole`, in the order given."""
    height = LINE * len(values) + 8
    room, largest = WIDTH - LABEL_WIDTH - VALUE_WIDTH, max(values.values(), default=0)
    parts = []
    for index, (name, value) in enumerate(values.items()):
        at = 4 + index * LINE
        long = value / largest * room if largest else 0
        share = value / whole if whole else 0.0
        parts.append(
            f"<g><title>{_escape(name)}: {value:,} {_escape(unit)} ({share:.1%})</title>"
            f'<rect class="hit" x="0" y="{at}" width="{WIDTH}" height="{LINE}"/>'
            f'<rect class="bar" x="{LABEL_WIDTH}" y="{at + 4}" width="{long:.1f}" height="{LINE - 8}"/>'
            f"{_text(LABEL_WIDTH - 8, at + 15, name if len(name) < 24 else name[:22] + '…', 'end')}"
            f"{_text(LABEL_WIDTH + long + 6, at + 15, f'{compact(value)} · {share:.1%}', 'start')}</g>"
        )
    return _figure(title, unit, WIDTH, height, parts)


def _figure(title: str, unit: str, width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f"<figure><figcaption>{_escape(title)} <small>{_escape(unit)}</small></figcaption>"
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{_escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _grid_step(largest: int) -> float:
    """Return the distance of grid lines: a round number, with at most GRID_LINES of them below the largest count."""
    rough = max(largest, GRID_LINES) / GRID_LINES
    power = 10.0 ** (len(str(int(rough))) - 1)
    return next(power * nice for nice in NICE if power * nice >= rough and power * nice == int(power * nice))


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{_escape(text)}</text>'


def _escape(text: str) -> str:
    return html.escape(text)
