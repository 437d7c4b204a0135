"""What the routes of the studio answer."""

from __future__ import annotations

from pydantic import Field

from registry.serving.answers import Answer


class SampleAnswer(Answer):
    """A sample that was composed beforehand."""

    name: str
    style: str | None
    seconds: float
    notes: int


class SamplesAnswer(Answer):
    """The samples of the model that is served, by style and seed."""

    samples: list[SampleAnswer]


class SoundfontInfo(Answer):
    """The soundfont that the page plays with."""

    name: str = Field(description="Of its file.")
    licence: str
    bytes: int


class SoundfontAnswer(Answer):
    """The soundfont that is installed, null where there is none."""

    soundfont: SoundfontInfo | None


class CopyAnswer(Answer):
    """A span of a piece that stands in a training piece, in any key and at any tempo."""

    begin: float = Field(description="Seconds.")
    end: float
    notes: int
    piece: str = Field(description="Name of the training piece, as of an opening.")


class OriginalityAnswer(Answer):
    """What of a piece stands in the training pieces of the model."""

    unknown: str | None = Field(description="Why nothing can be said; null where something can.")
    copied_notes: int = Field(description="Of the longest span that is no commonplace.")
    copies: list[CopyAnswer]
