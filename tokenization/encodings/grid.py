"""The grid: a piece in the resolution of its encoding, between notes in seconds and tokens.

Whatever an encoding cannot represent is lost here and nowhere else: times are rounded to ticks, programs become
instruments, velocities rows, tempos buckets. From the grid to tokens and back every encoding is exact.

A tick is a fraction of a second or, where `Time.BEATS` counts, of a beat; then tempo changes are part of the piece.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.notes import DEFAULT_TEMPO, Notes, TempoMap
from tokenization.midi.score import segment
from tokenization.vocabulary import NO_ROW, Vocabulary

NOTE_COLUMNS = ("start", "end", "row", "pitch", "source")
"""Fields of a `Grid` with a value for each note."""
DRUM_TICKS = 12
"""Length given to drum hits; no encoding stores one."""
LEGATO_TICKS = 96
"""Greatest length of a note whose end is not written: a second, or two beats."""
PITCH_BITS = 7
PITCH_MASK = 127
NO_RESTART = 2**62
"""Tick, where a pitch is not played again."""
TIE = 1e-6
"""Ticks below the middle between two ticks that are still rounded up, so that a time that a file counts in whole ticks
of its own is rounded the same way however its seconds were computed."""


class Time(StrEnum):
    """Unit of which a tick is a fraction."""

    SECONDS = "seconds"
    BEATS = "beats"


@dataclass(frozen=True, eq=False)
class Grid:
    """A piece on the grid of a vocabulary. Columns of notes have shape (n,), ordered by start."""

    start: NDArray[np.int64]
    """Ticks from the piece's beginning: its first onset, or the start of the beat that holds it."""
    end: NDArray[np.int64]
    """Ticks, after the start."""
    row: NDArray[np.uint8]
    """The vocabulary's row: instrument and velocity."""
    pitch: NDArray[np.uint8]
    tempo_ticks: NDArray[np.int64]
    """Tick at which each tempo begins, shape (m ≥ 1,): first 0, strictly ascending; a single one in seconds."""
    tempo: NDArray[np.int64]
    """The bucket of each, different from the one before."""
    source: NDArray[np.int64]
    """Index of each note among those given; where several coincide, the first."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def keys(self) -> NDArray[np.int64]:
        """A number for each note that tells start, row and pitch apart."""
        return (self.start << 16) | (self.row.astype(np.int64) << 8) | self.pitch

    def taken(self, chosen: NDArray[np.bool_]) -> Grid:
        """Return the grid with some of the notes."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in NOTE_COLUMNS})


def quantise(notes: Notes, vocabulary: Vocabulary, time: Time) -> Grid:
    """Return notes, in any order, on the grid.

    A note lasts at least one tick. Of notes with the same instrument, pitch and start the longest stays, with the
    loudest velocity; a note that still sounds when its pitch starts anew ends there. Drum hits last DRUM_TICKS.
    Raises ValueError for a piece without notes or with values that MIDI does not have.
    """
    if not len(notes):
        raise ValueError("a piece without notes has no encoding")
    order = None
    if (notes.onset[1:] < notes.onset[:-1]).any():
        order = np.argsort(notes.onset, kind="stable")
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum)
    onset, duration, keys, velocity, program, drum = (column if order is None else column[order] for column in columns)
    if time is Time.SECONDS:
        begins, ticks, rate = np.array([onset[0]]), np.zeros(1), np.array([float(vocabulary.ticks_per_second)])
        tempo_ticks, tempo = np.zeros(1, np.int64), np.array([_bucket(vocabulary, notes.tempo)])
    else:
        begins, ticks, rate = _beats(notes.tempos, vocabulary)
        first = np.floor(_at(begins, ticks, rate, onset[0]) + 0.5 + TIE)
        # A piece begins with the beat in which its first note lies, so that beats stay beats.
        ticks = ticks - first // vocabulary.ticks_per_beat * vocabulary.ticks_per_beat
        tempo_ticks, tempo = _tempo_changes(notes.tempos, ticks, vocabulary)
    start, end, row, pitch, source = _to_ticks(
        column_of(onset, np.float64),
        column_of(duration, np.float64),
        column_of(keys, np.uint8),
        column_of(velocity, np.uint8),
        column_of(program, np.uint8),
        column_of(drum, np.bool_),
        begins,
        ticks,
        rate,
        vocabulary.program_instrument,
        vocabulary.drum_instrument,
        vocabulary.on_row,
        vocabulary.off_row,
    )
    if not len(start):
        raise ValueError("a note has a pitch, velocity or program above 127")
    return Grid(start, end, row, pitch, tempo_ticks, tempo, source if order is None else order[source])


def without_late_tempos(grid: Grid, vocabulary: Vocabulary, with_ends: bool) -> Grid:
    """Return the grid without tempos behind its last start or, `with_ends`, the last end that is written."""
    last = grid.start[-1]
    if with_ends:
        held = vocabulary.off_row[vocabulary.row_instrument[grid.row]] != NO_ROW
        last = max(last, grid.end[held].max(initial=0))
    kept = grid.tempo_ticks <= last
    return replace(grid, tempo_ticks=grid.tempo_ticks[kept], tempo=grid.tempo[kept])


def legato(grid: Grid, vocabulary: Vocabulary) -> Grid:
    """Return the grid with each note lasting until its instrument's next start, LEGATO_TICKS at most."""
    ends = _legato_ends(grid.start, grid.row, vocabulary.row_instrument, vocabulary.off_row)
    return replace(grid, end=ends)


def with_lengths(grid: Grid, vocabulary: Vocabulary, lengths: NDArray[np.int64]) -> Grid:
    """Return the grid with the length of each note rounded to one of `lengths`, which ascend from 1 tick.

    A note ends at the latest where its pitch starts anew. The length of drum hits stays DRUM_TICKS.
    """
    held = vocabulary.off_row[vocabulary.row_instrument[grid.row]] != NO_ROW
    wanted = grid.end - grid.start
    above = np.minimum(np.searchsorted(lengths, wanted), len(lengths) - 1)
    below = np.maximum(above - 1, 0)
    nearest = np.where(lengths[above] - wanted < wanted - lengths[below], above, below)
    nearest = np.where(lengths[above] <= wanted, above, nearest)  # beyond the greatest length too
    room = _ticks_to_restart(grid.start, grid.row, grid.pitch, vocabulary.row_instrument, vocabulary.off_row)
    fits = np.searchsorted(lengths, room, side="right") - 1
    chosen = lengths[np.minimum(nearest, fits)]
    return replace(grid, end=np.where(held, grid.start + chosen, grid.end))


def to_notes(grid: Grid, vocabulary: Vocabulary, time: Time, tick: float | None = None) -> Notes:
    """Return the notes of a grid, by onset, pitch and row; programs are the vocabulary's output programs.

    `tick`: seconds, in place of the vocabulary's tick where ticks are seconds.
    """
    start, end, row, pitch = _by_pitch(
        grid.start, grid.end, column_of(grid.row, np.uint8), column_of(grid.pitch, np.uint8)
    )
    tempo_map = None
    tempo = DEFAULT_TEMPO if not len(grid.tempo) else float(vocabulary.tempos[grid.tempo[0]])
    if time is Time.SECONDS:
        rate = vocabulary.ticks_per_second if tick is None else 1 / tick
        onset, until = start / rate, end / rate
    else:
        values = vocabulary.tempo_values[grid.tempo]
        per_tick = 60.0 / (values * vocabulary.ticks_per_beat)
        begins = np.concatenate([[0.0], np.cumsum(np.diff(grid.tempo_ticks) * per_tick[:-1])])
        onset, until = (_at(grid.tempo_ticks, begins, per_tick, column) for column in (start, end))
        if len(values) > 1:
            tempo_map = TempoMap(begins, values)
            last = float(until.max(initial=0.0))
            held = np.diff(np.append(np.minimum(begins, last), last))
            totals = np.bincount(grid.tempo, held)
            longest = len(totals) - 1 - int(totals[::-1].argmax())  # the fastest of those that hold equally long
            tempo = float(vocabulary.tempos[longest])
    program, drum = vocabulary.row_program[row], vocabulary.row_is_drum[row]
    return Notes(onset, until - onset, pitch, vocabulary.row_velocity[row], program, drum, tempo, tempo_map)


def column_of(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """Return the values as a contiguous, writable column, the one form that kernels are compiled for.

    A view or a read-only buffer would cost seconds of compilation each.
    """
    column = np.ascontiguousarray(values, dtype)
    return column if column.flags.writeable else column.copy()


def _bucket(vocabulary: Vocabulary, tempo: float) -> int:
    return vocabulary.tempo_id(tempo) - vocabulary.tempo_base


def _beats(
    tempos: TempoMap, vocabulary: Vocabulary
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the beginning of each tempo in seconds and in ticks, and ticks per second from there."""
    rate = tempos.tempo * (vocabulary.ticks_per_beat / 60.0)
    ticks = np.concatenate([[0.0], np.cumsum(np.diff(tempos.seconds) * rate[:-1])])
    return column_of(tempos.seconds, np.float64), ticks, rate


def _at(begins: NDArray[Any], values: NDArray[Any], slopes: NDArray[Any], where: Any) -> NDArray[np.float64]:
    """Evaluate a piecewise linear function, with `values` and `slopes` at `begins`, at some places."""
    part = np.maximum(np.searchsorted(begins, where, side="right") - 1, 0)
    found: NDArray[np.float64] = values[part] + (where - begins[part]) * slopes[part]
    return found


def _tempo_changes(
    tempos: TempoMap, ticks: NDArray[np.float64], vocabulary: Vocabulary
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the tempo changes on the grid: the last of several at one tick, and none that keeps the bucket."""
    at = np.maximum(np.floor(ticks + 0.5 + TIE).astype(np.int64), 0)
    at[0] = 0
    buckets = np.abs(vocabulary.tempo_values[None, :] - tempos.tempo[:, None]).argmin(axis=1)
    last = np.append(at[1:] > at[:-1], True)
    at, buckets = at[last], buckets[last]
    changed = np.append(True, buckets[1:] != buckets[:-1])
    return at[changed], buckets[changed]


@compiled
def _to_ticks(
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    pitch: NDArray[np.uint8],
    velocity: NDArray[np.uint8],
    program: NDArray[np.uint8],
    drum: NDArray[np.bool_],
    begins: NDArray[np.float64],
    ticks: NDArray[np.float64],
    rate: NDArray[np.float64],
    program_instrument: NDArray[np.uint8],
    drum_instrument: int,
    on_row: NDArray[np.uint8],
    off_row: NDArray[np.int16],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Return start, end, row, pitch and source of the notes that are kept; all empty when a value is above 127.

    Notes are sorted by onset. From second `begins[k]` on a tick is `ticks[k] + (second - begins[k]) · rate[k]`.
    """
    n, parts = len(onset), len(begins)
    start, end = np.empty(n, np.int64), np.empty(n, np.int64)
    voice, source = np.empty(n, np.int64), np.empty(n, np.int64)
    loudest = np.empty(n, np.uint8)
    latest = np.full(len(off_row) << PITCH_BITS, -1, np.int64)
    kept = 0
    part = 0
    for i in range(n):
        if (pitch[i] | velocity[i] | program[i]) > PITCH_MASK:
            kept = 0
            break
        while part + 1 < parts and begins[part + 1] <= onset[i]:
            part += 1
        until = part
        stop = onset[i] + duration[i]
        if until + 1 < parts and begins[until + 1] <= stop:
            until = segment(begins, stop)
        first = np.int64(np.floor(ticks[part] + (onset[i] - begins[part]) * rate[part] + 0.5 + TIE))
        last = np.int64(np.floor(ticks[until] + (stop - begins[until]) * rate[until] + 0.5 + TIE))
        instrument = np.int64(drum_instrument) if drum[i] else np.int64(program_instrument[program[i]])
        last = first + DRUM_TICKS if off_row[instrument] < 0 else max(last, first + 1)
        key = instrument << PITCH_BITS | np.int64(pitch[i])
        before = latest[key]
        if before >= 0 and start[before] == first:
            end[before] = max(end[before], last)
            loudest[before] = max(loudest[before], velocity[i])
        else:
            if before >= 0 and off_row[instrument] >= 0:
                end[before] = min(end[before], first)
            latest[key] = kept
            start[kept], end[kept], voice[kept], loudest[kept], source[kept] = first, last, key, velocity[i], i
            kept += 1
    row, key_of = np.empty(kept, np.uint8), np.empty(kept, np.uint8)
    for i in range(kept):
        row[i] = on_row[voice[i] >> PITCH_BITS, loudest[i]]
        key_of[i] = voice[i] & PITCH_MASK
    return start[:kept].copy(), end[:kept].copy(), row, key_of, source[:kept].copy()


@compiled
def _ticks_to_restart(
    start: NDArray[np.int64],
    row: NDArray[np.uint8],
    pitch: NDArray[np.uint8],
    row_instrument: NDArray[np.uint8],
    off_row: NDArray[np.int16],
) -> NDArray[np.int64]:
    """Return the ticks until the instrument of each note, in order of starts, plays its pitch again."""
    room = np.empty(len(start), np.int64)
    following = np.full(len(off_row) << PITCH_BITS, NO_RESTART, np.int64)
    for i in range(len(start) - 1, -1, -1):
        key = np.int64(row_instrument[row[i]]) << PITCH_BITS | np.int64(pitch[i])
        room[i] = following[key] - start[i]
        following[key] = start[i]
    return room


@compiled
def _legato_ends(
    start: NDArray[np.int64], row: NDArray[np.uint8], row_instrument: NDArray[np.uint8], off_row: NDArray[np.int16]
) -> NDArray[np.int64]:
    """Return the ends of notes, in order of their starts, whose ends are not written."""
    ends = np.empty(len(start), np.int64)
    # Going backwards: the instrument's current start and the one after it.
    at = np.full(len(off_row), -1, np.int64)
    after = np.full(len(off_row), -1, np.int64)
    for i in range(len(start) - 1, -1, -1):
        instrument = row_instrument[row[i]]
        if at[instrument] != start[i]:
            after[instrument] = at[instrument]
            at[instrument] = start[i]
        if off_row[instrument] < 0:
            ends[i] = start[i] + DRUM_TICKS
        elif after[instrument] < 0:
            ends[i] = start[i] + LEGATO_TICKS
        else:
            ends[i] = min(start[i] + LEGATO_TICKS, after[instrument])
    return ends


@compiled
def _by_pitch(
    start: NDArray[np.int64], end: NDArray[np.int64], row: NDArray[np.uint8], pitch: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return start, end, row and pitch of notes, given in the order of their starts, by start, pitch and row.

    It is an insertion sort, which is stable: each note moves among those that start together.
    """
    starts, ends, rows, pitches = start.copy(), end.copy(), row.copy(), pitch.copy()
    for i in range(1, len(start)):
        place = i
        while place and starts[place - 1] == start[i]:
            before = place - 1
            if pitches[before] < pitch[i] or (pitches[before] == pitch[i] and rows[before] <= row[i]):
                break
            ends[place], rows[place], pitches[place] = ends[before], rows[before], pitches[before]
            place = before
        ends[place], rows[place], pitches[place] = end[i], row[i], pitch[i]
    return starts, ends, rows, pitches
