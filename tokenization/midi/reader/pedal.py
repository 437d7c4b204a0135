"""The sustain pedal: how long notes sound with it, as `tokenization.midi.reader` describes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.reader.columns import LAST_TICK, PITCH_SHIFT, TICK_SHIFT, Numbers, cap, sort

PEDAL, ALL_SOUND_OFF, RESET_CONTROLLERS, LOCAL_CONTROL = 64, 120, 121, 122
"""Controllers; all above the last one are kinds of All Notes Off."""
PEDAL_DOWN = 64
"""The least value of the pedal that puts it down."""
UP, DOWN, SILENCE, ACTS = 0, 1, 2, 2
"""What is done to a pedal, and how far the number of the event is shifted to stand before it."""
VOICE_SHIFT = 31
"""A voice is a channel of a sequence: channel + 16 × sequence. It stands before a tick, which has 31 bits."""


@compiled
def pedallings(moments: Numbers, acts: Numbers, n: int) -> tuple[Numbers, Numbers]:
    """Where pedals go down and where they then go up: `voice << VOICE_SHIFT | tick` both, ascending.

    The last `n` of `moments` are of that form, too, the latest first; those of `acts` are `number << ACTS | act`. A
    pedal that is never let go goes up at LAST_TICK. All Sound Off ends a pedalling, and another one begins.
    """
    moments, acts = moments[: -n - 1 : -1].copy(), acts[: -n - 1 : -1].copy()
    sort(moments, acts, n)
    down, up = np.empty(n, np.int64), np.empty(n, np.int64)
    m = 0
    begin = np.int64(-1)  # of the pedal that is down, -1 if it is up
    for i in range(n):
        if begin >= 0 and moments[i] >> VOICE_SHIFT != begin >> VOICE_SHIFT:
            down[m], up[m] = begin, begin | LAST_TICK
            m += 1
            begin = np.int64(-1)
        act = acts[i] & ((1 << ACTS) - 1)
        if act == DOWN:
            if begin < 0:
                begin = moments[i]
        elif begin >= 0:
            if moments[i] > begin:
                down[m], up[m] = begin, moments[i]
                m += 1
            begin = moments[i] if act == SILENCE else np.int64(-1)
    if begin >= 0:
        down[m], up[m] = begin, begin | LAST_TICK
        m += 1
    return down[:m], up[:m]


@compiled
def _held(keys: Numbers, lengths: Numbers, voices: Numbers, n: int, down: Numbers, up: Numbers) -> Numbers:
    """The lengths of the first `n` notes, which are sorted, if pedals are down from `down` to `up`; shape (n,)."""
    held = np.empty(n, np.int64)
    sequences = 1
    for i in range(n):
        sequences = max(sequences, (voices[i] >> 4) + 1)
    last = np.zeros(sequences, np.int64)  # where the last key of a sequence is up
    for i in range(n):
        sequence = voices[i] >> 4
        last[sequence] = max(last[sequence], (keys[i] >> TICK_SHIFT) + lengths[i])
    latest = np.empty(2048, np.int64)  # by channel and pitch: the start of the note that was looked at last,
    anew = np.empty(2048, np.int64)  # and the first start after that
    latest[:] = LAST_TICK
    anew[:] = LAST_TICK
    for i in range(n - 1, -1, -1):
        start, voice = keys[i] >> TICK_SHIFT, voices[i]
        slot = (voice & 15) << 7 | (keys[i] >> PITCH_SHIFT & 0x7F)
        if start < latest[slot]:
            anew[slot], latest[slot] = latest[slot], start
        held[i] = lengths[i]
        end = start + lengths[i]
        key_up = voice << VOICE_SHIFT | end
        low, high = 0, len(up)  # of the pedallings that are not over before, the first
        while low < high:
            middle = (low + high) // 2
            if up[middle] < key_up:
                low = middle + 1
            else:
                high = middle
        if low < len(up) and down[low] <= key_up:
            until = up[low] & LAST_TICK
            if until == LAST_TICK:
                until = last[voice >> 4]
            held[i] = max(min(until, anew[slot]), end) - start
    return held


@compiled
def sustained(
    keys: Numbers,
    lengths: Numbers,
    voices: NDArray[np.int32],
    n: int,
    pedals: tuple[Numbers, Numbers],
    tempo_map: tuple[Numbers, NDArray[np.float64]],
    ticks_per_beat: int,
) -> Numbers:
    """The notes' lengths with the pedal; empty if it changes none. Sorts `keys` and `lengths`.

    `voices`: of the notes as they were read, before sorting. `pedals`: where they go down and up, from `pedallings`.
    """
    down, up = pedals
    for i in range(n):
        lengths[i] = lengths[i] << 32 | voices[i]
    sort(keys, lengths, n)
    sorted_voices = np.empty(n, np.int64)
    for i in range(n):
        sorted_voices[i] = lengths[i] & 0xFFFFFFFF
        lengths[i] >>= 32
    held = _held(keys, lengths, sorted_voices, n, down, up)
    cap(keys, held, n, tempo_map[0], tempo_map[1], ticks_per_beat)
    for i in range(n):
        if held[i] != lengths[i]:
            return held
    return held[:0]
