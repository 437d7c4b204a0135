"""The map of a version's styles as one self-contained HTML page: what is under the pointer shows its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from jinja2 import Template

from flows.pages import page_template
from registry.style_map import StyleMap

TEMPLATE = "styles.html.jinja"
WIDTH, HEIGHT, MARGIN = 1000, 640, 60
NEAREST, LISTED = 3, 5
"""Neighbours that lines lead to, and that the table lists."""


@dataclass(frozen=True)
class _Point:
    """A style on the page."""

    name: str
    x: float
    y: float
    anchor: str
    lines: list[tuple[float, float]]
    """Places of its nearest neighbours."""
    neighbours: list[tuple[str, float]]


def style_page(found: StyleMap, title: str) -> str:
    """Render the map of a model's styles."""
    names = [style.replace("_", " ") for style in found.styles]
    xs = (MARGIN + found.places[:, 0] * (WIDTH - 2 * MARGIN)).round(1).tolist()
    ys = (MARGIN + found.places[:, 1] * (HEIGHT - 2 * MARGIN)).round(1).tolist()
    points = []
    for number, name in enumerate(names):
        near = found.neighbours(number, LISTED)
        points.append(
            _Point(
                name=name,
                x=xs[number],
                y=ys[number],
                anchor="end" if xs[number] > WIDTH - 3 * MARGIN else "start",
                lines=[(xs[other], ys[other]) for other, _ in near[:NEAREST]],
                neighbours=[(names[other], similarity) for other, similarity in near],
            )
        )
    return _template().render(title=title, points=points, width=WIDTH, height=HEIGHT, nearest=NEAREST)


@cache
def _template() -> Template:
    return page_template("flows.registration", TEMPLATE)
