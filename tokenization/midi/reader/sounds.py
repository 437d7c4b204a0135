"""The sound of each voice, its program and whether it plays drums, in the order of time over all tracks.

The rules are those of `tokenization.midi.reader`. The sequence of changes is found first, for all tracks at once; a
note then takes the one that holds at its tick.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.events import (
    BANK,
    CONTROLLER,
    GENERAL_MIDI_2,
    LAST_TICK,
    NO_SYSTEM,
    PROGRAM,
    RESET,
    RHYTHM,
    STATUS_SHIFT,
    TICK_SHIFT,
    TRACK_END,
    XG,
    Numbers,
    voice_of,
)
from tokenization.midi.reader.sorting import sort_pairs
from tokenization.midi.standard import DRUM_CHANNEL

DRUM = 0x80
"""A sound is one number: the program, and this bit for drums."""
XG_DRUM_BANKS, GM2_DRUM_BANK, GM2_MELODY_BANK = (126, 127), 120, 121
NO_BANK = constant(-1)
NO_TRACK = constant(-1)
"""The track of what is set for all tracks."""
NEVER = constant(LAST_TICK + 1)
"""A tick after all others."""
MOMENT_SHIFT = 2
"""A moment is a tick before a rank: resets, then rhythm switches, then all else, so that set-up messages come first."""


class Changes(NamedTuple):
    """The changes of sound: columns of shape (n,), those of one voice together, in the order in which they hold."""

    begins: Numbers
    """Where the changes of each voice begin, shape (voices + 1,)."""
    ticks: Numbers
    orders: Numbers
    """The place of the event in its column; -1 for a system exclusive message, which comes first at its tick."""
    tracks: Numbers
    """The number of the track; NO_TRACK for a system exclusive message, which is of all."""
    sounds: Numbers
    """The sound from there on."""


class _States(NamedTuple):
    """The state of each voice: columns of shape (voices,)."""

    program: Numbers
    bank: Numbers
    """The bank (its upper half) that was sent last, NO_BANK for none: the next program is one of it."""
    selected: Numbers
    """The bank of the program."""
    is_rhythm: Numbers
    """The rhythm switch: 1 for drums."""
    is_touched: Numbers
    """1 if anything has been set since the last reset."""


@compiled
def sound_changes(events: Numbers, voices: int) -> Changes:
    """Return the changes of sound in the events of one sequence, a part of `Events.notes`."""
    moments, orders, tracks = _settings(events)
    n = len(moments)
    if n == 0:
        return _by_voice(np.empty((0, 4), np.int64), tracks, voices)
    sort_pairs(moments, orders)
    # A reset changes only voices that were set before: there are at most as many of its changes as other events.
    rows = np.empty((2 * n, 4), np.int64)  # voice, order, tick, sound
    states = _States(
        np.zeros(voices, np.int64),
        np.full(voices, NO_BANK),
        np.full(voices, NO_BANK),
        np.empty(voices, np.int64),
        np.zeros(voices, np.int64),
    )
    for voice in range(voices):
        states.is_rhythm[voice] = voice & 15 == DRUM_CHANNEL
    touched = np.empty(voices, np.int64)
    system, m, count = NO_SYSTEM, 0, 0
    for i in range(n):
        event, tick = events[orders[i]], moments[i] >> MOMENT_SHIFT
        if event >> STATUS_SHIFT & 0xFF == RESET:
            system = event & 0xFF
            for j in range(count):
                voice = touched[j]
                _reset(states, voice)
                rows[m, 0], rows[m, 1], rows[m, 2], rows[m, 3] = voice, -1, tick, _sound(states, voice, system)
                m += 1
            count = 0
            continue
        voice = voice_of(event)
        if not states.is_touched[voice]:
            states.is_touched[voice] = 1
            touched[count] = voice
            count += 1
        if _apply(states, voice, event):
            order = -1 if event >> STATUS_SHIFT >> 4 & 15 == RHYTHM else orders[i]
            rows[m, 0], rows[m, 1], rows[m, 2], rows[m, 3] = voice, order, tick, _sound(states, voice, system)
            m += 1
    return _by_voice(rows[:m], tracks, voices)


@compiled
def _settings(events: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return the moments and places of the events that set sounds, shape (n,), and the tracks of all events.

    The last column, of shape (m,), is empty where no event sets a sound.
    """
    n = 0
    for event in events:
        n += _sets_sound(event)
    moments, orders = np.empty(n, np.int64), np.empty(n, np.int64)
    tracks = np.empty(len(events) if n > 0 else 0, np.int64)
    if n == 0:
        return moments, orders, tracks
    n = track = 0
    for i in range(len(events)):
        event = events[i]
        tracks[i] = track
        status = event >> STATUS_SHIFT & 0xFF
        track += status == TRACK_END
        if _sets_sound(event):
            rank = 0 if status == RESET else 1 if status >> 4 == RHYTHM else 2
            moments[n] = event >> TICK_SHIFT << MOMENT_SHIFT | rank
            orders[n] = i
            n += 1
    return moments, orders, tracks


@compiled
def _sets_sound(event: int) -> bool:
    """Return True for programs, banks, rhythm switches and resets."""
    status = event >> STATUS_SHIFT & 0xFF
    kind = status >> 4
    is_bank = kind == CONTROLLER and event >> 8 & 0x7F == BANK
    return kind in (PROGRAM, RHYTHM) or is_bank or status == RESET


@compiled
def _reset(states: _States, voice: int) -> None:
    """Set a voice back to where it was after switching on."""
    states.program[voice] = 0
    states.bank[voice] = states.selected[voice] = NO_BANK
    states.is_rhythm[voice] = voice & 15 == DRUM_CHANNEL
    states.is_touched[voice] = 0


@compiled
def _apply(states: _States, voice: int, event: int) -> bool:
    """Apply an event to its voice; return False if it has no effect yet."""
    kind, value = event >> STATUS_SHIFT >> 4 & 15, event & 0x7F
    if kind == CONTROLLER:
        states.bank[voice] = value
        return False
    if kind == PROGRAM:
        states.program[voice] = value
        states.selected[voice] = states.bank[voice]
    else:
        states.is_rhythm[voice] = value > 0
        states.selected[voice] = NO_BANK
    return True


@compiled
def _sound(states: _States, voice: int, system: int) -> int:
    """Return the sound of a voice: a bank of drums or melody in the system that has them, else the rhythm switch."""
    bank, is_drum = states.selected[voice], states.is_rhythm[voice] > 0
    if system == XG:
        is_drum = is_drum or bank in XG_DRUM_BANKS
    elif system == GENERAL_MIDI_2:
        is_drum = bank == GM2_DRUM_BANK or (is_drum and bank != GM2_MELODY_BANK)
    program = int(states.program[voice])
    return program | DRUM if is_drum else program


@compiled
def _by_voice(rows: Numbers, tracks: Numbers, voices: int) -> Changes:
    """Return changes, given in the order of time as rows of voice, order, tick and sound, voice by voice."""
    n = len(rows)
    begins = np.zeros(voices + 1, np.int64)
    for i in range(n):
        begins[rows[i, 0] + 1] += 1
    for voice in range(voices):
        begins[voice + 1] += begins[voice]
    changes = Changes(
        begins, np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    )
    places = begins.copy()
    for i in range(n):
        voice, order = rows[i, 0], rows[i, 1]
        to = places[voice]
        places[voice] += 1
        changes.orders[to], changes.ticks[to], changes.sounds[to] = order, rows[i, 2], rows[i, 3]
        changes.tracks[to] = NO_TRACK if order < 0 else tracks[order]
    return changes


@compiled
def first_sound(voice: int) -> int:
    """Return the sound of a voice before all changes."""
    return DRUM if voice & 15 == DRUM_CHANNEL else 0


@compiled
def sound_at(changes: Changes, voice: int, tick: int, order: int, track: int) -> tuple[int, int]:
    """Return the sound of a note that begins at an event, and the tick up to which later notes of its track have it.

    `order`: the place of the event in its column.
    """
    low, high = changes.begins[voice], changes.begins[voice + 1]
    last = _last_before(changes, low, high, tick + 1, -1)
    until = changes.ticks[last + 1] if last + 1 < high else NEVER
    if last >= low and changes.ticks[last] == tick:
        until = tick
        if changes.tracks[last] == track and changes.orders[last] > order:  # after the note
            last = _last_before(changes, low, high, tick, order)
    return _sound_of_tick(changes, low, last, order, track, first_sound(voice)), until


@compiled
def _sound_of_tick(changes: Changes, low: int, last: int, order: int, track: int, first: int) -> int:
    """Return the sound after the changes of one tick up to `last`, for an event in a track.

    The last change of the event's own track counts, if there is one, else the last one of all: tracks that share a
    channel and set their own programs at one tick keep them, and a set-up track need not come first.
    """
    if last < low:
        return first
    own = _last_before(changes, low, last + 1, changes.ticks[last], order)
    is_own = own >= low and changes.ticks[own] == changes.ticks[last] and changes.tracks[own] == track
    return int(changes.sounds[own if is_own else last])


@compiled
def _last_before(changes: Changes, low: int, high: int, tick: int, order: int) -> int:
    """Return the last of the changes from `low` to `high` before a place of a tick; `low - 1` if there is none."""
    before = low - 1
    while high - before > 1:
        middle = (before + high) // 2
        if changes.ticks[middle] < tick or (changes.ticks[middle] == tick and changes.orders[middle] < order):
            before = middle
        else:
            high = middle
    return before
