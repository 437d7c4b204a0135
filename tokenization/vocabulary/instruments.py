"""Instruments of a vocabulary: the MIDI programs they play and the rows of ids they own."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from infra.errors import UserError

PROGRAMS = 128
ALL_PITCHES = (0, 127)

Seven = Annotated[int, Field(ge=0, le=127)]
"""A MIDI data value, seven bits."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]


class InstrumentError(UserError, ValueError):
    """Instruments that contradict each other or leave a program without an instrument."""


class Instrument(BaseModel):
    """One instrument of a vocabulary, for example `violin`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    group: str
    """The group that switches it on: `strings` holds violin and cello."""
    output_program: Seven
    """General MIDI program with which it is written to MIDI files."""
    rows: tuple[Seven, ...] = Field(strict=False)
    """Velocity of each row of 128 ids, in id order; 0 is the note-off row."""
    programs: tuple[Seven, ...] | None = Field(None, strict=False)
    """General MIDI programs it plays; None for all that no other instrument claims."""
    drum: bool = False
    """True for the instrument of the drum channel, whose notes have no lengths and hence no note-off row."""
    range: tuple[Seven, Seven] = Field(ALL_PITCHES, strict=False)
    """Lowest and highest sounding pitch. It bounds augmentation and has no part in the meaning of ids."""

    @model_validator(mode="after")
    def _rows_and_range(self) -> Self:
        low, high = self.range
        if low > high:
            raise ValueError(f"range [{low}, {high}] is not two pitches of 0–127, low first")
        if len(set(self.rows)) < len(self.rows) or not any(self.rows):
            raise ValueError("rows must be different velocities, one of them above 0")
        if (0 in self.rows) == self.drum:
            raise ValueError(
                "rows of drums must not hold 0, their note-off" if self.drum else "rows lack 0, the note-off"
            )
        if self.drum and self.programs is not None:
            raise ValueError("drums have no programs")
        return self

    def __eq__(self, other: object) -> bool:
        """Compare everything that gives ids their meaning, which ranges do not."""
        return isinstance(other, Instrument) and self._meaning == other._meaning

    def __hash__(self) -> int:
        return hash(self._meaning)

    @property
    def _meaning(self) -> tuple[object, ...]:
        return self.name, self.group, self.output_program, self.rows, self.programs, self.drum


def program_table(instruments: tuple[Instrument, ...]) -> NDArray[np.uint8]:
    """Return the index of the instrument that plays each pitched program, shape (128,).

    Raises InstrumentError when two instruments claim a program or some program has none.
    """
    table = np.full(PROGRAMS, len(instruments), np.int64)
    others = [i for i, instrument in enumerate(instruments) if instrument.programs is None and not instrument.drum]
    if len(others) > 1:
        names = " and ".join(instruments[i].name for i in others)
        raise InstrumentError(f"one instrument at most can play all other programs, not {names}")
    for index, instrument in enumerate(instruments):
        for program in instrument.programs or ():
            if table[program] < len(instruments):
                claimed = instruments[table[program]].name
                raise InstrumentError(f"program {program} is claimed by {claimed} and {instrument.name}")
            table[program] = index
    free = np.flatnonzero(table == len(instruments))
    if len(free) and not others:
        raise InstrumentError(f"no instrument plays program {free[0]}")
    table[free] = others[0] if others else 0
    return table.astype(np.uint8)


def velocity_table(instruments: tuple[Instrument, ...], first_rows: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the row of a note-on of each velocity, shape (instruments, 128): that of the nearest velocity."""
    table = np.empty((len(instruments), 128), np.uint8)
    for index, instrument in enumerate(instruments):
        sounding = [(velocity, row) for row, velocity in enumerate(instrument.rows) if velocity > 0]
        levels = np.array([velocity for velocity, _ in sounding])
        rows = np.array([row for _, row in sounding])
        nearest = np.abs(np.arange(128)[:, None] - levels[None, :]).argmin(axis=1)
        table[index] = first_rows[index] + rows[nearest]
    return table
