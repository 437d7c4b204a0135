"""Instruments of a vocabulary: which MIDI programs they play and which rows of ids they own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROGRAMS = 128
ALL_PITCHES = (0, 127)


@dataclass(frozen=True)
class Instrument:
    """One voice of a vocabulary, for example `violin`."""

    name: str
    group: str
    """The switch that turns it on: `strings` holds violin and cello."""
    output_program: int
    """General MIDI program it is written with."""
    rows: tuple[int, ...]
    """Velocity of each row of 128 ids, in id order; 0 is the note-off row."""
    programs: tuple[int, ...] | None = None
    """General MIDI programs it plays; None: all that no other instrument claims."""
    drum: bool = False
    range: tuple[int, int] = field(default=ALL_PITCHES, compare=False)
    """Lowest and highest pitch that it plays, as they sound. It bounds augmentation and gives no id its meaning."""

    def __post_init__(self) -> None:
        """Raises ValueError for a range that is none."""
        low, high = self.range
        if not ALL_PITCHES[0] <= low <= high <= ALL_PITCHES[1]:
            raise ValueError(f"instrument {self.name!r}: range [{low}, {high}] is not two pitches of 0–127, low first")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Instrument:
        programs = data.get("programs")
        return cls(
            name=data["name"],
            group=data["group"],
            output_program=data["output_program"],
            rows=tuple(data["rows"]),
            programs=None if programs is None else tuple(programs),
            drum=data.get("drum", False),
            range=tuple(data.get("range", ALL_PITCHES)),
        )


def program_table(instruments: tuple[Instrument, ...]) -> NDArray[np.uint8]:
    """The index of the instrument that plays each pitched program, shape (128,).

    Raises ValueError when two instruments claim a program or some program has none.
    """
    others = [i for i, instrument in enumerate(instruments) if instrument.programs is None and not instrument.drum]
    if len(others) != 1:
        raise ValueError(f"exactly one pitched instrument must play all other programs, not {len(others)}")
    table = np.full(PROGRAMS, others[0], np.uint8)
    claimed: dict[int, str] = {}
    for index, instrument in enumerate(instruments):
        for program in instrument.programs or ():
            if program in claimed:
                raise ValueError(f"program {program} is claimed by {claimed[program]} and {instrument.name}")
            claimed[program] = instrument.name
            table[program] = index
    return table


def velocity_table(instruments: tuple[Instrument, ...], first_rows: tuple[int, ...]) -> NDArray[np.uint8]:
    """The row that a note-on of each velocity takes, shape (instruments, 128): the nearest velocity wins."""
    table = np.empty((len(instruments), 128), np.uint8)
    for index, instrument in enumerate(instruments):
        sounding = [(velocity, row) for row, velocity in enumerate(instrument.rows) if velocity > 0]
        levels = np.array([velocity for velocity, _ in sounding])
        rows = np.array([row for _, row in sounding])
        nearest = np.abs(np.arange(128)[:, None] - levels[None, :]).argmin(axis=1)
        table[index] = first_rows[index] + rows[nearest]
    return table
