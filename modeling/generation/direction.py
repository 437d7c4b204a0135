"""Direction: how a piece is led while it is generated, beyond prompt, length in tokens and sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modeling.config import DrawingConfig
from modeling.controls import Blend, Controls


@dataclass(frozen=True)
class Direction:
    """How pieces are led. The defaults leave them alone."""

    seconds: float | None = None
    """Length of a piece in time, whatever the number of its tokens; None: its planned tokens alone."""
    blend: Blend | None = None
    """Styles in place of the prompt's; None: that one."""
    controls: Controls = field(default_factory=Controls)
    is_open: bool = False
    """True if the instruments asked for are suggestions: others may play, but less likely (`Controls.outside`)."""
    instruments: tuple[str, ...] = ()
    """Groups or instruments that were asked for by name; empty: those of the groups that the header names."""
    style_returns: Mapping[str, float] = field(default_factory=dict)
    """Mean shares of sections that come back in pieces of some styles, in place of `Controls.returns`."""


def controls_of(drawing: DrawingConfig, **wishes: Any) -> Controls:
    """Return the controls of pieces that are drawn in a way: wishes, and the settings of drawing that are controls."""
    drawn = {name: getattr(drawing, name) for name in DrawingConfig.model_fields if name in Controls.model_fields}
    return Controls(**wishes | drawn)
