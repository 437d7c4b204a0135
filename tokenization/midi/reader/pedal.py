"""The sustain pedal: how long notes sound with it, by the rules that `tokenization.midi.reader` describes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tokenization.compiled import compiled
from tokenization.midi.reader.events import (
    ALL_SOUND_OFF,
    CONTROLLER,
    LAST_TICK,
    PEDAL,
    STATUS_SHIFT,
    TRACK_END,
    Numbers,
    in_sequence,
    voice_of,
)
from tokenization.midi.reader.events import TICK_SHIFT as EVENT_TICK_SHIFT
from tokenization.midi.reader.note_columns import DRUM_SHIFT, PITCH_SHIFT, TICK_SHIFT, NoteColumns
from tokenization.midi.reader.sorting import sort_pairs
from tokenization.midi.reader.tempo import TempoColumns, cap_lengths

PEDAL_DOWN = 64
"""The least value of the pedal that puts it down."""
VOICE_SHIFT = 31
"""A moment of a voice is one integer: the voice, with its sequence, before a tick, which has 31 bits."""

UP, DOWN, SILENCE = 0, 1, 2
"""Actions on a pedal."""
ACTION_BITS = 2
"""The number of the event stands before the action, so that of one moment the first in the file comes first."""


class Pedallings(NamedTuple):
    """The spans in which pedals are down: columns of shape (n,), ascending, each a moment of a voice."""

    down: Numbers
    up: Numbers
    """Not before `down`, of the same voice; LAST_TICK if the pedal is never let go."""


@compiled
def pedallings(controls: Numbers, voice_bits: int, is_successive: bool) -> Pedallings:
    """Return where pedals go down and where they then go up, from the events of `Events.controls`.

    All Sound Off ends a pedalling, and another one begins.
    `is_successive`: each track is a sequence of its own.
    """
    moments, actions = _actions(controls, voice_bits, is_successive)
    sort_pairs(moments, actions)
    n = len(moments)
    down, up = np.empty(n, np.int64), np.empty(n, np.int64)
    m = 0
    begin = np.int64(-1)  # of the pedal that is down, -1 if it is up
    for i in range(n):
        if begin >= 0 and moments[i] >> VOICE_SHIFT != begin >> VOICE_SHIFT:
            down[m], up[m] = begin, begin | LAST_TICK
            m += 1
            begin = np.int64(-1)
        action = actions[i] & ((1 << ACTION_BITS) - 1)
        if action == DOWN:
            if begin < 0:
                begin = moments[i]
        elif begin >= 0:
            if moments[i] > begin:
                down[m], up[m] = begin, moments[i]
                m += 1
            begin = moments[i] if action == SILENCE else np.int64(-1)
    if begin >= 0:
        down[m], up[m] = begin, begin | LAST_TICK
        m += 1
    return Pedallings(down[:m], up[:m])


@compiled
def _actions(controls: Numbers, voice_bits: int, is_successive: bool) -> tuple[Numbers, Numbers]:
    """Return the moments at which something is done to a pedal, and `number << ACTION_BITS | action`; shape (n,).

    Both are empty if no pedal ever goes down.
    """
    moments, actions = np.empty(len(controls), np.int64), np.empty(len(controls), np.int64)
    n = downs = sequence = 0
    for event in controls:
        status, controller = event >> STATUS_SHIFT & 0xFF, event >> 8 & 0x7F
        if status == TRACK_END:
            sequence += is_successive
        elif status >> 4 == CONTROLLER:
            action = SILENCE if controller == ALL_SOUND_OFF else UP
            if controller == PEDAL and event & 0x7F >= PEDAL_DOWN:
                action = DOWN
                downs += 1
            voice = in_sequence(voice_of(event), sequence, voice_bits)
            moments[n] = voice << VOICE_SHIFT | event >> EVENT_TICK_SHIFT
            actions[n] = n << ACTION_BITS | action
            n += 1
    if downs == 0:
        n = 0
    return moments[:n], actions[:n]


@compiled
def sustain(
    notes: NoteColumns, spans: Pedallings, voice_bits: int, tempos: TempoColumns, ticks_per_beat: int
) -> Numbers:
    """Sort the notes and return their lengths with the pedal, shape (n,); empty if it changes none."""
    keys, lengths, voices = notes
    n = len(keys)
    if len(spans.down) == 0:
        sort_pairs(keys, lengths)
        return lengths[:0]
    for i in range(n):
        lengths[i] = lengths[i] << 32 | voices[i]
    sort_pairs(keys, lengths)
    for i in range(n):
        voices[i] = lengths[i] & 0xFFFFFFFF
        lengths[i] >>= 32
    held = _held(notes, spans, voice_bits)
    cap_lengths(keys, held, tempos, ticks_per_beat)
    for i in range(n):
        if held[i] != lengths[i]:
            return held
    return held[:0]


@compiled
def _held(notes: NoteColumns, spans: Pedallings, voice_bits: int) -> Numbers:
    """Return the lengths of sorted notes with the pedal, shape (n,)."""
    keys, lengths, voices = notes
    n = len(keys)
    held = np.empty(n, np.int64)
    sequences = 1
    for voice in voices:
        sequences = max(sequences, (voice >> voice_bits) + 1)
    last = np.zeros(sequences, np.int64)  # where the last key of a sequence is up
    for i in range(n):
        sequence = voices[i] >> voice_bits
        last[sequence] = max(last[sequence], (keys[i] >> TICK_SHIFT) + lengths[i])
    # By voice and pitch: the start of the note that was looked at last, and the first start after that.
    latest, repeated = np.empty(128 << voice_bits, np.int64), np.empty(128 << voice_bits, np.int64)
    latest[:] = LAST_TICK
    repeated[:] = LAST_TICK
    for i in range(n - 1, -1, -1):
        start, voice = keys[i] >> TICK_SHIFT, np.int64(voices[i])
        slot = (voice & ((1 << voice_bits) - 1)) << 7 | (keys[i] >> PITCH_SHIFT & 0x7F)
        if start < latest[slot]:
            repeated[slot], latest[slot] = latest[slot], start
        held[i] = lengths[i]
        if keys[i] >> DRUM_SHIFT & 1:
            continue
        end = start + lengths[i]
        key_up = voice << VOICE_SHIFT | end
        span = _first_not_before(spans.up, key_up)
        if span < len(spans.up) and spans.down[span] <= key_up:
            until = spans.up[span] & LAST_TICK
            if until == LAST_TICK:
                until = last[voice >> voice_bits]
            held[i] = max(min(until, repeated[slot]), end) - start
    return held


@compiled
def _first_not_before(ascending: Numbers, value: int) -> int:
    """Return the index of the first number that is not below `value`, their count if there is none."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low
