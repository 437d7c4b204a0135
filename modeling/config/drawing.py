"""How pieces are drawn from a model where a request says nothing: a part of presets, chosen by measures of music."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from modeling.config.base import StrictModel

DRAWING_FILE = "drawing.json"
"""In the files of a registered version."""
Rank = Literal["critic", "likelihood", "none"]
"""By what the best of several candidates is chosen; `none`: the first one."""
AskedRank = Literal["auto", "critic", "likelihood", "none"]
"""The same in a request. `auto`: the critic if it was measured to beat chance, else none."""
Weights = Literal["auto", "fp32", "int8"]
"""Precision of the network's matrices while it composes, as a request says."""


class DrawingConfig(StrictModel):
    """A model's own defaults for the settings of a request that have the same names."""

    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    top_p: float = Field(0.95, gt=0, le=1)
    """Probability mass of the tokens that are sampled from (nucleus sampling)."""
    time_temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Factor of the temperature among waits."""
    pitch_temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Factor of the temperature among the notes of one instrument."""
    tonality: float = Field(0.0, ge=0, allow_inf_nan=False)
    """How closely notes keep to the pitch classes that were heard lately."""
    repetition: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Nats by which a note becomes less likely for each time its phrase was heard lately, beyond `repeats`."""
    repeats: int = Field(2, ge=0, lt=2**31)
    """Times that a phrase may be heard without a penalty."""
    stay: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Nats by which the last three pitch classes become less likely while music stays on them: none up to
    `stay_seconds`, all from twice as long on."""
    stay_seconds: float = Field(5.0, gt=0, allow_inf_nan=False)
    """Seconds, at 120 beats a minute, that music may stay on three pitch classes without a penalty."""
    recall: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Nats by which notes and waits become likelier that a section of a piece recalls from an earlier one, by a form
    that the seed draws or a request writes."""
    section_bars: int = Field(4, ge=1, le=64)
    """Bars of a section; where the seed draws the form half as many in some pieces, half as many again in others."""

    returns: float = Field(0.4, ge=0, le=1)
    """Mean share of a piece's sections that recall an earlier one where the seed draws the form."""
    style_returns: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """That of pieces in some styles. Styles that a model does not know are passed over."""

    def returns_of(self, style: str | None) -> float:
        """Return the mean share of sections that come back in pieces of a style."""
        return self.returns if style is None else self.style_returns.get(style, self.returns)


PLAIN: Final = DrawingConfig()
"""Of a model that has no settings of its own."""
