"""An HTML page with pictures of layouts: what each position attends to, and its share of dense attention.

The page is self-contained: inline SVG, light and dark, no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from modeling.config import ModelConfig, SparsityConfig
from modeling.network.sparsity import BlockLayout, Column, Dense, Halves, Layout, density, layer_layouts

SIDE = 320
"""Width and height of a picture, in user units."""
LINE = 0.8
"""Smallest width of a line that stands for single positions, in user units."""
LENGTHS = (4096, 16_384, 32_768)
"""Lengths whose share of dense attention is listed beside that of the drawn one."""
DRAWN_HEADS = 3
"""Number of heads that are drawn where heads differ."""

ABOUT = {
    "dense": "Every position sees all that is earlier.",
    "local": "A sliding window: the own block and those right before it.",
    "strided": "A sliding window, and every so many positions back: in two steps a position reaches all.",
    "fixed": "Windows side by side, and the last blocks of every window for all that come later.",
    "variable": "Windows of chosen sizes, global blocks at chosen places, and random ones.",
    "bigbird": "A sliding window, the first blocks, and random ones.",
    "bslongformer": "A sliding window, and global blocks at chosen places.",
}
SETTINGS: dict[str, tuple[str, ...]] = {
    "dense": (),
    "local": ("block", "num_sliding_window_blocks"),
    "strided": ("block", "num_sliding_window_blocks", "stride", "factors"),
    "fixed": ("block", "num_local_blocks", "num_global_blocks", "num_different_global_patterns", "factors"),
    "variable": (
        *("block", "local_window_blocks", "global_block_indices", "global_block_end_indices"),
        *("num_random_blocks", "seed"),
    ),
    "bigbird": ("block", "num_sliding_window_blocks", "num_global_blocks", "num_random_blocks", "seed"),
    "bslongformer": ("block", "num_sliding_window_blocks", "global_block_indices", "global_block_end_indices"),
}
"""Settings that matter in each mode."""

STYLE = """
:root { --ground: #fcfcfa; --text: #1d1f23; --soft: #646973; --line: #dcdedf; --seen: #3b6fb6; --unseen: #e6e8ea }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16181c; --text: #e3e4e6; --soft: #989ea8; --line: #33373e; --seen: #6f9fdc; --unseen: #262a30 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 74rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2 }
main { display: flex; flex-wrap: wrap; gap: 0 2.5rem }
section { width: calc(var(--figures) * 22.5rem - 2.5rem); max-width: 100% }
h2 { margin: 2.75rem 0 .25rem; padding-top: .75rem; border-top: 1px solid var(--line); font-size: 1.2rem }
p { margin: .5rem 0; max-width: 52rem }
code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--soft); overflow-wrap: anywhere }
.layouts { display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem; margin: 1rem 0 }
figure { margin: 0; width: 20rem; max-width: 100% }
figcaption { margin-bottom: .4rem; font-weight: 600; font-size: .95rem }
svg { display: block; width: 100%; height: auto }
svg .seen { fill: var(--seen) } svg .unseen { fill: var(--unseen) } svg .frame { fill: none; stroke: var(--line) }
svg .line { fill: none; stroke: var(--seen) }
table { margin-top: .5rem; width: 100%; border-collapse: collapse; font-size: .9rem;
  font-variant-numeric: tabular-nums }
th { color: var(--soft); font-weight: 500; text-align: right } td { text-align: right }
th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 1px solid var(--line) }
"""


@dataclass(frozen=True)
class Use:
    """A layout, and the layers and heads that use it."""

    layout: Layout
    who: str
    head: int = 0
    """The layout's head that is drawn, where they differ."""


def modes_page(length: int) -> str:
    """Render every mode with its defaults, for `length` positions."""
    intro = (
        f"What each position sees in each mode of <code>model.sparsity</code> with its defaults, over {length:,} "
        "positions. Every mode can be changed by its settings."
    )
    cards = [_card(SparsityConfig.model_validate({"mode": mode}), None, 8, length) for mode in ABOUT]
    return _page("Attention layouts", intro, cards)


def model_page(name: str, model: ModelConfig, length: int) -> str:
    """Render the layouts of a model's layers, for `length` positions."""
    intro = (
        f"What each position sees in the {model.layers} layers of {model.heads} heads of <code>{escape(name)}</code>, "
        f"over {length:,} positions. The model's context is {model.context:,}."
    )
    return _page(f"Attention layouts of {name}", intro, [_card(model.sparsity, model.layers, model.heads, length)])


def _page(title: str, intro: str, cards: Iterable[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n"
        f"<h1>{escape(title)}</h1>\n<p>{intro}</p>\n"
        "<p>A row is a position that asks, from the first at the top; a column is one that it may see, from the first "
        "at the left. Blue is seen. Grey is what dense attention would compute too. Shares are those of query–key "
        "pairs: a backend that skips all the rest does that part of the work.</p>\n</header>\n<main>\n"
        + "\n".join(cards)
        + "\n</main>\n</body>\n</html>\n"
    )


def _card(config: SparsityConfig, layers: int | None, heads: int, length: int) -> str:
    """Render the section of a configuration. `layers` None: for any number of layers."""
    settings = [f"{key}={_shown(getattr(config, key))}" for key in SETTINGS[config.mode]]
    if config.different_layout_per_head:
        settings.append("different_layout_per_head=true")
    uses = [use for layout, who in _users(config, layers, heads) for use in _uses(layout, who, heads)]
    figures = "\n".join(_figure(use, length) for use in uses)
    about = ABOUT[config.mode]
    if any(use.layout.heads > 1 for use in uses):
        about += f" Heads differ: the first {DRAWN_HEADS} are drawn, the shares are the mean of all."
    return (
        f'<section style="--figures: {min(len(uses), DRAWN_HEADS)}">\n<h2>{config.mode}</h2>\n<p>{about}</p>\n'
        f"<p><code>{escape(' '.join(settings))}</code></p>\n"
        f'<div class="layouts">\n{figures}\n</div>\n</section>'
    )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value).lower()


def _users(config: SparsityConfig, layers: int | None, heads: int) -> list[tuple[Layout, str]]:
    """Return each distinct layout and a text that names its layers."""
    of_layer = layer_layouts(config, layers or 6, heads)
    found: dict[Layout, list[int]] = {}
    for number, layout in enumerate(of_layer, start=1):
        found.setdefault(layout, []).append(number)
    if len(found) == 1:
        return [(of_layer[0], "all layers" if layers is None else _counted(layers, "layer"))]
    return [(layout, _numbered(numbers, endless=layers is None)) for layout, numbers in found.items()]


def _counted(count: int, thing: str) -> str:
    return f"all {count} {thing}s" if count > 1 else f"the only {thing}"


def _numbered(numbers: Sequence[int], endless: bool) -> str:
    """Name layers: `layers 1, 3, 5, … 71`."""
    if endless:
        return f"layers {', '.join(map(str, numbers[:3]))}, …"
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    if len(numbers) <= 4:
        return f"layers {', '.join(map(str, numbers))}"
    return f"layers {', '.join(map(str, numbers[:3]))}, … {numbers[-1]}"


def _uses(layout: Layout, who: str, heads: int) -> list[Use]:
    """Return the pictures to draw of a layout of `heads` heads."""
    if not isinstance(layout, Halves):
        return _heads_of(layout, who, 1, heads)
    half = heads // 2
    return [
        use
        for part, first in ((layout.first, 1), (layout.second, half + 1))
        for use in _heads_of(part, f"{who}, {_range(first, first + half - 1)}", first, half)
    ]


def _range(first: int, last: int) -> str:
    return f"heads {first} to {last}" if first < last else f"head {first}"


def _heads_of(layout: Layout, who: str, first: int, heads: int) -> list[Use]:
    """Return one picture if all heads are alike, else one for each of the first ones; `first`: number of the first."""
    if layout.heads == 1:
        return [Use(layout, who)]
    return [Use(layout, f"{who}: head {first + head}", head) for head in range(min(heads, DRAWN_HEADS))]


def _figure(use: Use, length: int) -> str:
    lengths = sorted({length, *LENGTHS})
    rows = ""
    for each in lengths:
        share = density(use.layout, each)
        rows += f"<tr><td>{each:,}</td><td>{share:.2%}</td><td>{1 / share:,.1f} ×</td></tr>"
    return (
        f"<figure>\n<figcaption>{escape(use.who)}</figcaption>\n{_picture(use, length)}\n"
        "<table><thead><tr><th>positions</th><th>share of dense</th><th>less work</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>\n</figure>"
    )


def _picture(use: Use, length: int) -> str:
    unit = SIDE / length
    layout = use.layout
    match layout:
        case Dense():
            seen = f'<path class="seen" d="{_triangle(0, length, unit)}"/>'
        case Column(stride):
            lines = "".join(
                f"M0 {first * unit:.2f}L{(length - first) * unit:.2f} {SIDE}" for first in range(0, length, stride)
            )
            seen = f'<path class="line" stroke-width="{max(unit, LINE):.2f}" d="{lines}"/>'
        case BlockLayout():
            seen = f'<path class="seen" d="{_blocks(layout, use.head, length, unit)}"/>'
        case _:
            raise NotImplementedError(f"no picture of {layout}")
    label = f"{escape(use.who)}: {density(layout, length):.2%} of dense attention"
    return (
        f'<svg viewBox="-1 -1 {SIDE + 2} {SIDE + 2}" role="img" aria-label="{label}"><title>{label}</title>'
        f'<path class="unseen" d="{_triangle(0, length, unit)}"/>{seen}'
        f'<rect class="frame" x="-.5" y="-.5" width="{SIDE + 1}" height="{SIDE + 1}"/></svg>'
    )


def _triangle(start: int, stop: int, unit: float) -> str:
    a, b = start * unit, stop * unit
    return f"M{a:.2f} {a:.2f}L{b:.2f} {b:.2f}H{a:.2f}Z"


def _blocks(layout: BlockLayout, head: int, length: int, unit: float) -> str:
    """Return the SVG path of a layout's blocks; adjacent ones of a row are merged, the own one is a triangle."""
    block = layout.block
    table = layout.table(-(-length // block))[head].int()
    parts = []
    for row, kept in enumerate(table):
        top, bottom = row * block * unit, min((row + 1) * block, length) * unit
        steps = kept[: row + 1].diff(prepend=kept.new_zeros(1), append=kept.new_zeros(1))
        for first, stop in zip((steps > 0).nonzero()[:, 0].tolist(), (steps < 0).nonzero()[:, 0].tolist()):
            left = first * block * unit
            if stop <= row:
                parts.append(f"M{left:.2f} {top:.2f}H{stop * block * unit:.2f}V{bottom:.2f}H{left:.2f}Z")
            else:
                parts.append(f"M{left:.2f} {top:.2f}H{top:.2f}L{bottom:.2f} {bottom:.2f}H{left:.2f}Z")
    return "".join(parts)
