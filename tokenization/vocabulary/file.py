"""The vocabulary file: the part of a vocabulary that people write, as a strict schema.

`builtin/musenet.toml` explains each key by example. No id is written down; ids follow from the order (`layout`).
"""

from __future__ import annotations

import tomllib
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.errors import UserError, nearest
from tokenization.vocabulary.instruments import Instrument, InstrumentError, Name, program_table

DEFAULT_STYLE_SLOTS = 512

Tempo = Annotated[int, Field(ge=1, le=1000)]
Group = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]
"""Without an underscore: `piano_strings` is the set of two groups."""


class VocabularyError(UserError, ValueError):
    """An invalid vocabulary, or an unknown style, instrument or token; the message lists those that exist."""


class VocabularyFile(BaseModel):
    """The content of a vocabulary file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    ticks_per_second: int = Field(ge=1, le=1000)
    """The grid of the encodings in seconds."""
    ticks_per_beat: int = Field(ge=1, le=960)
    """The grid of the encodings in beats (quarter notes)."""
    max_wait: int = Field(ge=1, le=4096)
    """Ticks of the longest wait token."""
    style_slots: int = Field(DEFAULT_STYLE_SLOTS, ge=0, le=16384)
    """Ids reserved for styles, so that no other id depends on how many styles a dataset has."""
    tempos: tuple[Tempo, ...] = Field(min_length=1, strict=False)
    """Beats per minute of the tempo buckets, ascending."""
    groups: tuple[Group, ...] = Field(min_length=1, strict=False)
    """Groups of instruments that are switched on together; the first one is bit 0 of an instrumentation."""
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


def parse_toml(text: str, source: str) -> VocabularyFile:
    """Return a checked vocabulary file from TOML. Raises VocabularyError naming the place in the `source`."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise VocabularyError(f"{source} is not valid TOML: {error}") from error
    return parse_vocabulary(content, source)


def parse_vocabulary(content: dict[str, Any], source: str) -> VocabularyFile:
    """Return a checked vocabulary file from its content. Raises VocabularyError naming the place in the `source`."""
    try:
        return VocabularyFile.model_validate(content)
    except ValidationError as error:
        # A key that is misspelt is unknown and also missing.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        where = _location(content, first["loc"])
        problem = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list").replace("Tuple", "List")
        if first["type"] == "extra_forbidden":
            known = (Instrument if "instruments" in first["loc"] else VocabularyFile).model_fields
            problem = f"this key is not known{nearest(str(first['loc'][-1]), known)}"
        raise VocabularyError(f"{source}: {where}{problem}") from error


def _location(content: dict[str, Any], path: tuple[int | str, ...]) -> str:
    """Return the place in the file as words, with instruments by name instead of by number."""
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
