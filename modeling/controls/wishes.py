"""What a musician may wish for besides style, instruments and length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from modeling.controls.form import parse_form
from modeling.controls.keys import parse_key

BEATS_PER_BAR = 4.0
"""Of a bar, in quarter notes: notes in seconds know no time signatures."""
FORM_NATS = 6.0
"""Nats of a recall at least where a form is written, so that what comes back is known again: a section and the one that
it recalls have half of their notes in common then, others a tenth (starter model)."""
Pitch = Annotated[int, Field(ge=0, le=127)]
Velocity = Annotated[int, Field(ge=1, le=127)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Nats = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def read_by(parse: Callable[[str], object]) -> AfterValidator:
    """Return the validator of a text that a parser has to read without a ValueError; the text stays as it is."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


class Controls(BaseModel):
    """Musical wishes for one piece; the defaults wish for nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    time_temperature: Factor | None = None
    """Factor of the temperature among waits: below 1 the rhythm is more regular, and as often as before time passes;
    None: the model's own, else 1."""
    pitch_temperature: Factor | None = None
    """Factor of the temperature among the notes of one instrument; None: the model's own, else 1."""
    instrument_temperature: Factor = 1.0
    """Factor of the temperature among instruments: which one plays next."""
    lowest: Pitch = 0
    """Lowest MIDI pitch that may start, drums aside."""
    highest: Pitch = 127
    """Highest MIDI pitch that may start, drums aside."""
    key: Annotated[str, read_by(parse_key)] | None = None
    """A major or minor key, such as `C`, `Bb major` or `F# minor`."""
    key_strength: Nats = 3.0
    """Nats by which notes outside the key become less likely."""
    strict_key: bool = False
    """True if no note outside the key may start."""
    softest: Velocity = 1
    """Least velocity of a note; the vocabulary's steps nearest to it and to `loudest` bound the choice."""
    loudest: Velocity = 127
    """Greatest velocity of a note."""
    most_voices: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    """Most notes that sound at a time, drums aside; of encodings without ends, that start at a time."""
    density: Factor | None = None
    """Notes a second to aim at, over some seconds."""
    outside: Nats = 1.0
    """Nats by which instruments that were not asked for become less likely; of no effect where they may not play."""
    missing: Nats = 0.0
    """Nats by which an instrument that was asked for becomes more likely while it has long been silent."""
    repetition: Nats | None = None
    """Nats by which a note becomes less likely for each time its phrase (the last intervals of its instrument) has been
    heard lately, beyond `repeats`; None: the model's own, else 0."""
    repeats: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Times that a phrase may be heard without a penalty; None: the model's own, else 2."""
    stay: Nats | None = None
    """Nats by which the last three pitch classes become less likely, among the notes of an instrument, while music
    stays on them: none up to `stay_seconds`, all from twice as long on; None: the model's own, else 0."""
    stay_seconds: Factor | None = None
    """Seconds that music may stay on three pitch classes without a penalty, at 120 beats a minute; None: the model's
    own, else 5."""
    tonality: Nats | None = None
    """How closely notes keep to the pitch classes that were heard lately: the exponent of their share among the last
    notes, by which the probability of each pitch is multiplied; None: the model's own, else 0. A cache of pitch classes
    (after Grave et al., 2017, "Improving Neural Language Models with a Continuous Cache")."""
    form: Annotated[str, read_by(parse_form)] | None = None
    """Sections by letter, such as `AABA`, gone through over and over: one recalls the first with its letter. None:
    drawn by the seed, some sections recall one of the four before."""
    recall: Nats | None = None
    """Nats by which notes and waits become likelier that a section recalls; None: the model's own,
    where a form is written FORM_NATS at least. An infill recalls nothing, nor does music whose time is in
    seconds, which knows no bars."""
    section_bars: Annotated[int, Field(ge=1, le=64)] | None = None
    """Bars of a section, of three or four beats as the piece itself has them; None: the model's own, else 4. Where no
    form is written, pieces have sections of half as many, as many, or half as many again."""
    returns: Annotated[float, Field(ge=0, le=1)] | None = None
    """Mean share of a piece's sections that recall an earlier one where no form is written; None: the model's own for
    the style, else 0.4."""

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        if self.lowest > self.highest:
            raise ValueError(f"the lowest pitch, {self.lowest}, is above the highest, {self.highest}")
        if self.softest > self.loudest:
            raise ValueError(f"the softest velocity, {self.softest}, is above the loudest, {self.loudest}")
        return self
