"""How a track goes on after a fault: the ways that `tokenization.midi.reader` describes, and which of them is taken."""

from __future__ import annotations

import numpy as np

from tokenization.compiled import compiled
from tokenization.midi.reader.chunks import Bytes, byte_at, quantity

STRETCH = 8
"""Events that must read well after a fault."""
BACK, NEAR = 2, 12
BYTES_OF_A_BEAT = 8
"""Bytes between a fault and a way on that weigh as much as a beat of time."""
CLEARLY = 2
"""Clipping gives way to what takes less than a `CLEARLY`th part of its time less `CLEARLY` beats."""
LOWEST_PITCH = 12
LONGEST_REST = 1024
"""Beats. A longer delta time is looked at twice, and in a track that has had a fault not believed."""
SANE_REST = 128
"""Beats that the events of a good way take together."""
LONGEST_TEXT = 1024
"""Bytes of a text in a track that has had a fault."""

CLIPPED, BARE, PLAIN, AFRESH = range(4)
"""Ways to read on after a fault."""


def _number(value: int) -> int:
    """A constant that numba takes for any integer: it would compile a function anew for every literal argument."""
    return np.int64(value)  # type: ignore[return-value]


BARE_START, IS_LENIENT, EVENTS = 1, 2, 2
"""What `stretch` is asked: bits, and how far the number of events is shifted."""
STRICT = _number(STRETCH << EVENTS)
LENIENT = _number(STRETCH << EVENTS | IS_LENIENT)
LONG = _number(2 * STRETCH << EVENTS)
BARE_STRICT, BARE_LENIENT, BARE_LONG = (_number(way | BARE_START) for way in (STRICT, LENIENT, LONG))
BARE_PAIR = _number(2 << EVENTS | BARE_START)
NO_STATUS = _number(0)


@compiled
def is_own(byte: int, status: int) -> bool:
    """Whether a byte is the note-on or note-off of the channel in use."""
    return bool(byte & 0xEF == status & 0xEF and 0x80 <= status < 0xA0)


@compiled
def stretch(data: Bytes, at: int, end: int, status: int, most: int, question: int) -> int:
    """Ticks that the next events take; -1 if they do not read well.

    `status`: the running status, 0 for none. `most`: ticks that they may take. `question`: STRICT or another of its
    kind. BARE: the first event has lost its delta time. LONG: twice as many events are looked at. LENIENT: data bytes
    above 127 are let pass, but in at most half of the events without a status, and low pitches, clock signals, long
    texts, an end without End of Track, and note-ons only.
    """
    bare, lenient, events = question & BARE_START > 0, question & IS_LENIENT > 0, question >> EVENTS
    total = clipped = starts = 0
    for _ in range(events):
        if at == end:
            return total if lenient else -1
        if not bare:
            delta, at = quantity(data, at, end)
            total += delta
            if delta < 0 or total > most:
                return -1
        bare = False
        if at >= end:
            return -1
        byte = byte_at(data, at)
        if byte >= 0xF0:
            if byte == 0xFF:
                if at + 2 >= end or data[at + 1] > 0x7F:
                    return -1
                if data[at + 1] == 0x2F:
                    return total if data[at + 2] == 0 else -1
                at += 1
            elif lenient and (byte == 0xF8 or 0xFA <= byte <= 0xFC or byte == 0xFE):
                at += 1
                continue
            elif byte != 0xF0 and byte != 0xF7:
                return -1
            length, at = quantity(data, at + 1, end)
            if length < 0 or at + length > end or (length > LONGEST_TEXT and not lenient):
                return -1
            at += length
            continue
        running = byte < 0x80
        if not running:
            status = byte
            at += 1
        elif status == 0:
            return -1
        two = 1 if status >> 5 != 6 else 0
        if at + 1 + two > end:
            return -1
        if (data[at] | data[at + two]) > 0x7F:
            clipped += running
            if not lenient or clipped > STRETCH // 2:
                return -1
        elif status < 0xA0 and not lenient and data[at] < LOWEST_PITCH:
            return -1
        starts += running and 0x90 <= status < 0xA0 and data[at + 1] > 0
        at += 1 + two
    return total if lenient or starts < events else -1


@compiled
def way_on(
    data: Bytes, first: int, event: int, after: int, claimed: int, end: int, status: int, clipped: int, beat: int
) -> tuple[int, int]:
    """Where to read on after a fault, and how: CLIPPED past the event, BARE at a status, PLAIN at a delta time, AFRESH
    at a delta time that a status follows.

    `first`: where the track begins. `event`: where the faulty event begins. `after`: where it would end if its bytes
    were clipped, which takes `clipped` ticks with it and what follows; -1 if that is no way. `claimed`: where the
    track says that it ends.
    """
    best, to, way = -1, after, CLIPPED
    sane = SANE_REST * beat
    if event < end and 0x80 <= data[event] < 0xF0:
        to, way = event, BARE
        if is_own(data[event], status) and stretch(data, event, end, status, sane, BARE_PAIR) >= 0:
            return to, way
        best = stretch(data, event, end, status, sane, BARE_STRICT)
    for at in range(max(first - 1, event - BACK), min(event + NEAR, end if clipped < 0 else after)):
        if at != event:
            ticks = stretch(data, at, end, status, sane, STRICT)
            if ticks >= 0:
                ticks += abs(at - event) * beat // BYTES_OF_A_BEAT
                if best < 0 or ticks < best:
                    best, to, way = ticks, at, PLAIN
    if clipped >= 0 and (best < 0 or CLEARLY * (best + beat) >= clipped):
        return after, CLIPPED
    if best >= 0:
        return to, way
    for at in range(event + 1, min(end, claimed)):
        delta, body = quantity(data, at, end)
        plain = delta >= 0 and body < end and data[body] >= 0x80
        if plain and stretch(data, at, end, status, sane, LONG) >= 0:
            return at, AFRESH
    return end, AFRESH
