"""What a vocabulary file says: the part of a vocabulary that people write, checked strictly.

`vocabularies/musenet.toml` explains each key by example. No id is written down; ids follow from the order.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.errors import UserError, nearest
from tokenization.vocabulary.instruments import Instrument, InstrumentError, Name, program_table

DEFAULT_STYLE_SLOTS = 512

Tempo = Annotated[int, Field(ge=1, le=1000)]
Group = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]
"""Without an underscore: `piano_strings` is the set of two groups."""


class VocabularyError(UserError, ValueError):
    """A vocabulary that cannot be, or a style, instrument or token that it does not have; the message lists what
    exists."""


class VocabularyFile(BaseModel):
    """The content of a vocabulary file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    ticks_per_second: int = Field(ge=1, le=1000)
    """The grid of the encodings in seconds."""
    ticks_per_beat: int = Field(ge=1, le=960)
    """The grid of the encodings in beats (quarter notes)."""
    max_wait: int = Field(ge=1, le=4096)
    """Ticks of the longest wait that is one token."""
    style_slots: int = Field(DEFAULT_STYLE_SLOTS, ge=0, le=16384)
    """Ids kept for styles. A dataset may have as many, and no other id depends on how many it has."""
    tempos: tuple[Tempo, ...] = Field(min_length=1, strict=False)
    """Beats per minute of the tempo buckets, ascending."""
    groups: tuple[Group, ...] = Field(min_length=1, strict=False)
    """Sets of instruments that are switched on together, the first one with bit 0 of an instrumentation."""
    instruments: tuple[Instrument, ...] = Field(min_length=1, strict=False)
    """In the order of their rows."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if list(self.tempos) != sorted(set(self.tempos)):
            raise ValueError("tempos must ascend")
        for what, names in (("groups", self.groups), ("instruments", [i.name for i in self.instruments])):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            if twice:
                raise ValueError(f"{what} has {twice[0]!r} twice")
        for instrument in self.instruments:
            if instrument.group not in self.groups:
                raise ValueError(
                    f"instrument {instrument.name!r} is of the group {instrument.group!r}, "
                    f"which is none of {', '.join(self.groups)}"
                )
        drums = [instrument.name for instrument in self.instruments if instrument.drum]
        if len(drums) != 1:
            raise ValueError(f"exactly one instrument must have drum = true, not {len(drums)}")
        try:
            program_table(self.instruments)
        except InstrumentError as error:
            raise ValueError(str(error)) from error
        return self


def parse_vocabulary(content: dict[str, Any], source: str) -> VocabularyFile:
    """A vocabulary file's content, checked. Raises VocabularyError saying where the `source` is wrong."""
    try:
        return VocabularyFile.model_validate(content)
    except ValidationError as error:
        # A key that is misspelt is unknown and also missing.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        where = _place(content, first["loc"])
        problem = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list").replace("Tuple", "List")
        if first["type"] == "extra_forbidden":
            known = (Instrument if "instruments" in first["loc"] else VocabularyFile).model_fields
            problem = f"this key is not known{nearest(str(first['loc'][-1]), known)}"
        raise VocabularyError(f"{source}: {where}{problem}") from error


def _place(content: dict[str, Any], path: tuple[int | str, ...]) -> str:
    """Where in the file: instruments by name, not by number."""
    words = []
    here: Any = content
    for step in path:
        try:
            here = here[step]
        except (LookupError, TypeError):
            here = None
        named = isinstance(step, int) and isinstance(here, dict) and "name" in here
        words.append(repr(here["name"]) if named else str(step))
    return f"{' '.join(words)}: " if words else ""
