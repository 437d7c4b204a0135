"""The id layout: the blocks of ids that follow from a vocabulary file, and its tables by row and instrument.

Blocks follow each other in this order: rows of 128 pitches, waits, `start`, `end`, `end_sample`, instrumentations,
style slots, tempo buckets, specials. Learned ids come after them. A new style takes a free slot, so no id ever changes
its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from infra.errors import among
from tokenization.vocabulary.file import VocabularyError, VocabularyFile
from tokenization.vocabulary.instruments import Instrument, program_table, velocity_table

PITCHES = 128
NO_ROW = -1
"""In place of the note-off row of an instrument that has none."""
MARKS = ("start", "end", "end_sample")
SPECIALS = ("pad", "no_style", "no_instrumentation")
"""Our own ids, after everything of MuseNet's: padding, "style not given", "instrumentation not given"."""

Tokens = NDArray[np.uint16]
TOKEN_VALUES = 2**16
ROWS = 2**8


@dataclass(frozen=True)
class IdLayout:
    """The blocks of ids that follow from a vocabulary file, and the tables of its rows and instruments."""

    file: VocabularyFile

    # The content of the file.

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def ticks_per_second(self) -> int:
        return self.file.ticks_per_second

    @property
    def ticks_per_beat(self) -> int:
        return self.file.ticks_per_beat

    @property
    def max_wait(self) -> int:
        return self.file.max_wait

    @property
    def style_slots(self) -> int:
        return self.file.style_slots

    @property
    def tempos(self) -> tuple[int, ...]:
        return self.file.tempos

    @property
    def groups(self) -> tuple[str, ...]:
        return self.file.groups

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        return self.file.instruments

    # The blocks of ids, in order.

    @cached_property
    def note_end(self) -> int:
        """One past the last note id; note ids are `row * PITCHES + pitch`."""
        return len(self.row_velocity) * PITCHES

    @cached_property
    def wait_base(self) -> int:
        """A wait of k ticks (1 … max_wait) has the id `wait_base + k`."""
        return self.note_end - 1

    @cached_property
    def start(self) -> int:
        return self.note_end + self.max_wait

    @property
    def end(self) -> int:
        return self.start + 1

    @property
    def end_sample(self) -> int:
        return self.start + 2

    @property
    def instrumentation_base(self) -> int:
        """A set of groups with the bit mask m (≥ 1) has the id `instrumentation_base + m`."""
        return self.start + 2

    @cached_property
    def style_base(self) -> int:
        return self.instrumentation_base + (1 << len(self.groups))

    @cached_property
    def tempo_base(self) -> int:
        return self.style_base + self.style_slots

    @cached_property
    def special_base(self) -> int:
        return self.tempo_base + len(self.tempos)

    @property
    def pad(self) -> int:
        return self.special_base + SPECIALS.index("pad")

    @property
    def no_style(self) -> int:
        return self.special_base + SPECIALS.index("no_style")

    @property
    def no_instrumentation(self) -> int:
        return self.special_base + SPECIALS.index("no_instrumentation")

    @property
    def learned_base(self) -> int:
        """The first learned id, which is also the number of ids that are not learned."""
        return self.special_base + len(SPECIALS)

    # Tables by row.

    @cached_property
    def first_rows(self) -> tuple[int, ...]:
        """The first row of each instrument."""
        firsts, row = [], 0
        for instrument in self.instruments:
            firsts.append(row)
            row += len(instrument.rows)
        return tuple(firsts)

    @cached_property
    def row_instrument(self) -> NDArray[np.uint8]:
        """Instrument index of each row, shape (rows,)."""
        return np.repeat(np.arange(len(self.instruments)), [len(i.rows) for i in self.instruments]).astype(np.uint8)

    @cached_property
    def row_velocity(self) -> NDArray[np.uint8]:
        """Velocity of each row, 0 for note-offs, shape (rows,)."""
        return np.array([velocity for i in self.instruments for velocity in i.rows], np.uint8)

    @cached_property
    def row_is_drum(self) -> NDArray[np.bool_]:
        """True for the rows of the drum instrument, shape (rows,)."""
        drums: NDArray[np.bool_] = self.row_instrument == self.drum_instrument
        return drums

    @cached_property
    def row_program(self) -> NDArray[np.uint8]:
        """The program that the notes of each row are written with, shape (rows,)."""
        return np.array([i.output_program for i in self.instruments], np.uint8)[self.row_instrument]

    # Tables by instrument and program.

    @cached_property
    def off_row(self) -> NDArray[np.int16]:
        """The note-off row of each instrument, NO_ROW if it has none, shape (instruments,)."""
        return np.array(
            [first + i.rows.index(0) if 0 in i.rows else NO_ROW for first, i in zip(self.first_rows, self.instruments)],
            np.int16,
        )

    @cached_property
    def on_row(self) -> NDArray[np.uint8]:
        """The row of a note-on by instrument and MIDI velocity, shape (instruments, 128)."""
        return velocity_table(self.instruments, self.first_rows)

    @cached_property
    def program_instrument(self) -> NDArray[np.uint8]:
        """Instrument index of each pitched General MIDI program, shape (128,)."""
        return program_table(self.instruments)

    @cached_property
    def drum_instrument(self) -> int:
        """Index of the drum instrument."""
        return next(i for i, instrument in enumerate(self.instruments) if instrument.drum)

    @cached_property
    def output_names(self) -> dict[int, str]:
        """Name of the instrument that is written to MIDI files with each program."""
        return {i.output_program: i.name for i in reversed(self.instruments) if not i.drum}

    # Tempos.

    @cached_property
    def tempo_values(self) -> NDArray[np.float64]:
        """Beats per minute of the tempo buckets, shape (buckets,)."""
        return np.array(self.tempos, np.float64)

    def tempo_id(self, tempo: float) -> int:
        """Return the id of the nearest tempo bucket (beats per minute)."""
        return self.tempo_base + int(np.abs(self.tempo_values - tempo).argmin())

    def tempo_of(self, token: int) -> int | None:
        """Return the beats per minute of a tempo token, None for any other."""
        index = token - self.tempo_base
        return self.tempos[index] if 0 <= index < len(self.tempos) else None

    # Instrumentations: sets of groups as bit masks.

    @cached_property
    def group_bits(self) -> NDArray[np.int64]:
        """The bit of each instrument's group in an instrumentation, shape (instruments,)."""
        return np.array([1 << self.groups.index(instrument.group) for instrument in self.instruments], np.int64)

    def instrumentation_id(self, mask: int) -> int:
        """Return the id of a set of groups given as bits. Raises VocabularyError for an empty or too large mask."""
        if not 1 <= mask < 2 ** len(self.groups):
            raise VocabularyError(
                f"the mask {mask} is not an instrumentation of 1 to {len(self.groups)} groups: "
                f"give 1 to {2 ** len(self.groups) - 1}"
            )
        return self.instrumentation_base + mask

    def group_mask(self, names: Iterable[str]) -> int:
        """Return the bits of named groups or instruments (`strings` or `violin`). Raises VocabularyError."""
        mask = 0
        by_instrument = {instrument.name: instrument.group for instrument in self.instruments}
        for name in names:
            group = name if name in self.groups else by_instrument.get(name)
            if group is None:
                known = dict.fromkeys([*reversed(self.groups), *by_instrument])
                raise VocabularyError(f"no instrument {name!r}; {among(name, known)}")
            mask |= 1 << self.groups.index(group)
        return mask

    def named_instruments(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Return the instruments that groups or instruments name (`strings` or `violin`), shape (instruments,).

        Raises VocabularyError.
        """
        chosen = [*names]
        self.group_mask(chosen)
        groups = {name for name in chosen if name in self.groups}
        return np.array([i.group in groups or i.name in chosen for i in self.instruments], np.bool_)

    def instruments_in(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return the instruments that play notes of these rows, shape (instruments,)."""
        return np.bincount(self.row_instrument[rows], minlength=len(self.instruments)) > 0

    def mask_of_instruments(self, indices: Iterable[int]) -> int:
        """Return the bits of the groups of instruments given by index."""
        return self.group_mask(self.instruments[int(i)].name for i in indices)

    def groups_of_mask(self, mask: int) -> list[str]:
        """Return the names of the groups in a mask, highest bit first as MuseNet names them (`piano_strings`)."""
        return [group for bit, group in reversed(list(enumerate(self.groups))) if mask >> bit & 1]

    def instruments_of(self, instrumentations: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return the instruments in the groups that instrumentation ids name, shape (ids, instruments)."""
        masks = instrumentations.astype(np.int64) - self.instrumentation_base
        return np.asarray(masks[:, None] & self.group_bits != 0, np.bool_)
