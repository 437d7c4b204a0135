"""Notes → a Standard MIDI File that any sequencer opens, with mido as the writer.

The file holds names, programs and all tempos. It has no time signature, because notes have none. Times are ticks of a
`WRITE_TICKS_PER_BEAT`th of a beat; each note stands at the tick nearest to its second, by the tempo map as it is
written, so that roundings do not add up.

Notes of one pitch that overlap on one channel. MIDI does not say which of them a note-off ends; most readers, ours
included, end the oldest. So notes that begin together are written in the order of their ends, and a note within which
another one begins and ends is cut where its pitch starts again: otherwise the two, and with them all that overlap,
would exchange their ends. Such readers read exactly what was written.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import mido
import numpy as np
from numpy.typing import NDArray

from tokenization.midi.notes import Notes
from tokenization.midi.standard import DRUM_CHANNEL, MICROSECONDS_PER_MINUTE
from tokenization.vocabulary.general_midi import PROGRAM_NAMES

WRITE_TICKS_PER_BEAT = 960
LONGEST_BEAT = 0xFFFFFF
"""Microseconds per beat at most in a tempo event."""
MOST_TICKS = 2**28 - 4
"""A delta time has 28 bits; less what rounding may add."""
PITCHED_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)

Numbers = NDArray[np.int64]


def write_midi(notes: Notes, names: dict[int, str] | None = None, title: str | None = None) -> bytes:
    """Return a type-1 file: a track with title and tempos, then one track and channel per program, drums on channel 10.

    `names`: track names by program; General MIDI's own where none is given. Names and title are written in Latin-1:
    letters that it lacks lose their accents or become question marks. Of more than 15 pitched programs those with the
    fewest notes share the last channel, in one track that changes its program between notes. A note lasts a tick at
    least. A tempo that an event cannot hold, or with which the piece would have more than MOST_TICKS ticks, becomes
    the nearest possible one; times in seconds stay.

    Raises ValueError for a pitch, velocity or program that MIDI lacks and for a piece of more than 54 days.
    """
    _check(notes)
    clock = _clock(notes)
    start = clock.ticks_at(np.maximum(notes.onset, 0.0))
    end = np.maximum(clock.ticks_at(notes.onset + notes.duration), start + 1)
    parts = list(_parts(notes, names or {}))
    for part in parts:
        end[part.chosen] = _first_in_first_out(start[part.chosen], end[part.chosen], notes.pitch[part.chosen])
    midi = mido.MidiFile(type=1, ticks_per_beat=WRITE_TICKS_PER_BEAT)
    midi.tracks.append(_conductor(clock, title))
    for part in parts:
        midi.tracks.append(_track(part, notes, start, end))
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class _Clock:
    """The tempo map as it is written. Columns have shape (m,); the first tempo begins at tick 0."""

    ticks: Numbers
    seconds: NDArray[np.float64]
    """The times of the ticks in a file with these tempos."""
    beats: Numbers
    """Microseconds per quarter note."""

    def ticks_at(self, seconds: NDArray[np.float64]) -> Numbers:
        """Return the ticks nearest to times, shape (n,)."""
        at = np.maximum(np.searchsorted(self.seconds, seconds, side="right") - 1, 0)
        ticks = np.rint((seconds - self.seconds[at]) * (WRITE_TICKS_PER_BEAT * 1e6) / self.beats[at])
        return self.ticks[at] + ticks.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Part:
    """The notes of one track."""

    name: str
    channel: int
    chosen: Numbers
    """Indices of its notes."""


def _check(notes: Notes) -> None:
    """Raise ValueError for bytes that mido, with its checks left out for speed, would write as they are."""
    for column, least in (("pitch", 0), ("velocity", 1), ("program", 0)):
        values = getattr(notes, column)
        if len(values) and not least <= values.min() <= values.max() <= 127:
            raise ValueError(f"a {column} is outside {least}–127: {values.min()}–{values.max()}")


def _clock(notes: Notes) -> _Clock:
    """Return the notes' tempos, each from the tick that is nearest to its second."""
    tempos = notes.tempos
    first = max(int(np.searchsorted(tempos.seconds, 0.0, side="right")) - 1, 0)
    wanted = tempos.seconds[first:]
    seconds = max(notes.seconds, float(wanted[-1]))
    least = seconds * 1e6 * WRITE_TICKS_PER_BEAT / MOST_TICKS
    if not least <= LONGEST_BEAT:
        raise ValueError(f"a piece of {seconds:.0f} s is longer than a MIDI file can hold")
    beats = np.rint(MICROSECONDS_PER_MINUTE / tempos.tempo[first:])
    beats = np.clip(beats, max(np.ceil(least), 1.0), LONGEST_BEAT).astype(np.int64)
    ticks, begins = [0], [0.0]
    for second, beat in zip(wanted[1:].tolist(), beats.tolist()):
        per_tick = beat / (WRITE_TICKS_PER_BEAT * 1e6)
        lasting = max(round((second - begins[-1]) / per_tick), 0)  # a slow tempo's tick may reach beyond the next one
        ticks.append(ticks[-1] + lasting)
        begins.append(begins[-1] + lasting * per_tick)
    return _Clock(np.array(ticks, np.int64), np.array(begins), beats)


def _parts(notes: Notes, names: dict[int, str]) -> Iterator[_Part]:
    """Yield tracks in the order of their programs, drums last; the programs that share a channel before them."""
    counts = np.bincount(notes.program[~notes.drum], minlength=128)
    used = np.flatnonzero(counts)
    by_use = used[np.argsort(-counts[used], kind="stable")]
    own = len(used) if len(used) <= len(PITCHED_CHANNELS) else len(PITCHED_CHANNELS) - 1
    programs = [[program] for program in sorted(by_use[:own].tolist())]
    if own < len(used):
        programs.append(sorted(by_use[own:].tolist()))
    for channel, group in zip(PITCHED_CHANNELS, programs):
        name = ", ".join(names.get(program, PROGRAM_NAMES[program]) for program in group)
        yield _Part(name, channel, np.flatnonzero(~notes.drum & np.isin(notes.program, group)))
    if notes.drum.any():
        yield _Part("drums", DRUM_CHANNEL, np.flatnonzero(notes.drum))


def _first_in_first_out(start: Numbers, end: Numbers, pitch: NDArray[np.uint8]) -> Numbers:
    """Return the ends of a channel's notes, such that of one pitch none ends before one that began earlier."""
    # Pitches one behind the other on one axis, so that no note of another pitch comes between.
    away = pitch * (np.int64(end.max(initial=0)) + 1)
    order = np.lexsort((end + away, start + away))
    starts, ends = (start + away)[order], (end + away)[order]
    earliest = np.minimum.accumulate(ends[::-1])[::-1]
    around = np.flatnonzero(earliest < ends)
    ends[around] = starts[np.searchsorted(starts, starts[around], side="right")]
    found = np.empty_like(ends)
    found[order] = ends
    found -= away
    return found


def _conductor(clock: _Clock, title: str | None) -> mido.MidiTrack:
    """Return the track with title and tempos."""
    track = mido.MidiTrack([_name(title)] if title else [])
    for delta, beat in zip(np.diff(clock.ticks, prepend=0).tolist(), clock.beats.tolist()):
        track.append(mido.MetaMessage("set_tempo", tempo=beat, time=delta))
    track.append(mido.MetaMessage("end_of_track"))
    return track


def _track(part: _Part, notes: Notes, start: Numbers, end: Numbers) -> mido.MidiTrack:
    """Return a track. At one tick notes end before others begin; those that begin together stand in order of ends."""
    chosen, channel = part.chosen, part.channel
    program = np.zeros(len(chosen), np.uint8) if channel == DRUM_CHANNEL else notes.program[chosen]
    ticks = np.concatenate([end[chosen], start[chosen]])
    is_on = np.repeat([0, 1], len(chosen))
    order = np.lexsort((np.tile(notes.pitch[chosen], 2), np.tile(program, 2), np.tile(end[chosen], 2), is_on, ticks))
    velocity = np.concatenate([np.zeros(len(chosen), np.uint8), notes.velocity[chosen]])[order]
    program, pitch, is_on = np.tile(program, 2)[order], np.tile(notes.pitch[chosen], 2)[order], is_on[order]
    deltas = np.diff(ticks[order], prepend=0)

    ons = np.flatnonzero(is_on)
    changes = ons[np.flatnonzero(np.diff(program[ons], prepend=program[ons[:1]]))]
    changed = np.zeros(len(order), np.bool_)
    changed[changes] = True

    track = mido.MidiTrack([_name(part.name), _change(channel, int(program[ons[0]]), 0)])
    columns = (deltas, is_on, pitch, velocity, program, changed)
    for delta, on, key, loudness, voice, is_change in zip(*(column.tolist() for column in columns)):
        if is_change:
            track.append(_change(channel, voice, delta))
            delta = 0
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, True, channel=channel, note=key, velocity=loudness, time=delta))
    track.append(mido.MetaMessage("end_of_track"))
    return track


def _change(channel: int, program: int, delta: int) -> mido.Message:
    """Return a program change."""
    return mido.Message("program_change", channel=channel, program=program, time=delta)


def _name(text: str) -> mido.MetaMessage:
    """Return the event for the name of a track, in the letters of Latin-1."""
    letters = "".join(letter if letter <= "\xff" else unicodedata.normalize("NFKD", letter) for letter in text)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return mido.MetaMessage("track_name", name=plain.encode("latin-1", "replace").decode("latin-1"))
