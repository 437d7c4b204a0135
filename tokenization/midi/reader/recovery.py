"""Recovery at a fault: the candidates that `tokenization.midi.reader` describes, and which of them is taken."""

from __future__ import annotations

from typing import NamedTuple

from tokenization.compiled import compiled, constant
from tokenization.midi.reader.chunks import Bytes, Track, byte_at, quantity

PROBED_EVENTS = 8
"""Events that must read well after a fault."""
BACK, NEAR = 2, 12
"""Bytes before and behind the faulty event between which reading may start again."""
BYTES_OF_A_BEAT = 8
"""Bytes between a fault and a place to resume that weigh as much as a beat of time."""
CLEARLY = 2
"""Clipping gives way to what takes less than a `CLEARLY`th part of its time less `CLEARLY` beats."""
LOWEST_PITCH = 12
LONGEST_REST = 1024
"""Beats. A longer delta time is looked at twice, and in a track that has had a fault not believed."""
PLAUSIBLE_SPAN = 128
"""Beats that the events after a fault may take together."""
LONGEST_TEXT = 1024
"""Bytes of a text in a track that has had a fault."""

CLIP, NO_DELTA, AT_EVENT, AT_STATUS = (constant(mode) for mode in range(4))
"""How reading resumes: past the faulty event with its bytes clipped to 127; at a status byte whose delta time is lost;
at a delta time; at a delta time that a status byte follows, with the running status dropped."""

_STARTS_AT_STATUS, _IS_LENIENT, _EVENTS_SHIFT = 1, 2, 2
STRICT = constant(PROBED_EVENTS << _EVENTS_SHIFT)
"""A mode of `probe`, packed as bits: all rules hold for `PROBED_EVENTS` events."""
LENIENT = constant(STRICT | _IS_LENIENT)
"""Only what cannot be read at all counts as a fault."""
STRICT_AT_STATUS, LENIENT_AT_STATUS = (constant(mode | _STARTS_AT_STATUS) for mode in (STRICT, LENIENT))
"""The same, and the first event has no delta time."""
LONG = constant(2 * PROBED_EVENTS << _EVENTS_SHIFT)
LONG_AT_STATUS = constant(LONG | _STARTS_AT_STATUS)
"""Strict for twice as many events."""
PAIR_AT_STATUS = constant(2 << _EVENTS_SHIFT | _STARTS_AT_STATUS)
"""Strict for two events."""
NO_STATUS = constant(0)
NOT_GOOD = constant(-1)
"""The answer of `probe` where events do not read well."""


class Limits(NamedTuple):
    """Bounds of delta times, ticks."""

    beat: int
    """A quarter note."""
    longest: int
    """`LONGEST_REST`."""
    plausible: int
    """`PLAUSIBLE_SPAN`."""
    unlimited: int
    """More than a track can hold."""


class Fault(NamedTuple):
    """An event that cannot be read as it stands."""

    begin: int
    """Byte offset of the event."""
    after: int
    """Byte offset of the next event if this one's data bytes are clipped."""
    delta: int
    """Ticks before the event."""
    status: int
    """The status in force, 0 for none."""
    can_clip: bool
    """True if data bytes above 127 are all that is wrong."""


@compiled
def is_note_of_channel(byte: int, status: int) -> bool:
    """Return True if a byte is the note-on or note-off of the channel whose notes `status` starts or ends."""
    return bool(byte & 0xEF == status & 0xEF and 0x80 <= status < 0xA0)


@compiled
def probe(data: Bytes, at: int, end: int, status: int, most: int, mode: int) -> int:
    """Return the ticks that the next events take; -1 if they do not read well.

    `status`: the running status, 0 for none. `most`: ticks that the events may take. `mode`: STRICT, LENIENT, LONG or
    one of their relatives. Lenient lets pass data bytes above 127 (but in at most half of the events without a
    status), low pitches, clock signals, long texts, an end without End of Track, and note-ons only.
    """
    starts_at_status, is_lenient = mode & _STARTS_AT_STATUS > 0, mode & _IS_LENIENT > 0
    events = mode >> _EVENTS_SHIFT
    total = clipped = starts = 0
    for _ in range(events):
        if at == end:
            return total if is_lenient else -1
        if not starts_at_status:
            delta, at = quantity(data, at, end)
            total += delta
            if delta < 0 or total > most:
                return -1
        starts_at_status = False
        if at >= end:
            return -1
        byte = byte_at(data, at)
        if byte >= 0xF0:
            if byte == 0xFF and at + 2 < end and data[at + 1] == 0x2F:
                return total if data[at + 2] == 0 else -1
            at = _after_system_event(data, at, end, is_lenient)
            if at < 0:
                return -1
            continue
        is_running = byte < 0x80
        if not is_running:
            status = byte
            at += 1
        elif status == 0:
            return -1
        two = 1 if status >> 5 != 6 else 0
        if at + 1 + two > end:
            return -1
        if (data[at] | data[at + two]) > 0x7F:
            clipped += is_running
            if not is_lenient or clipped > PROBED_EVENTS // 2:
                return -1
        elif status < 0xA0 and not is_lenient and data[at] < LOWEST_PITCH:
            return -1
        starts += is_running and 0x90 <= status < 0xA0 and data[at + 1] > 0
        at += 1 + two
    return total if is_lenient or starts < events else -1


@compiled
def _after_system_event(data: Bytes, at: int, end: int, is_lenient: bool) -> int:
    """Return where the meta event, system exclusive or, if lenient, clock signal at `at` ends; -1 if faulty."""
    byte = data[at]
    if byte == 0xFF:
        if at + 2 >= end or data[at + 1] > 0x7F:
            return -1
        at += 1
    elif is_lenient and (byte == 0xF8 or 0xFA <= byte <= 0xFC or byte == 0xFE):
        return at + 1
    elif byte != 0xF0 and byte != 0xF7:
        return -1
    length, at = quantity(data, at + 1, end)
    if length < 0 or at + length > end or (length > LONGEST_TEXT and not is_lenient):
        return -1
    return at + length


@compiled
def resync(data: Bytes, track: Track, fault: Fault, limits: Limits) -> tuple[int, int]:
    """Return where to read on after a fault, and how: CLIP, NO_DELTA, AT_EVENT or AT_STATUS."""
    begin, status, end = fault.begin, fault.status, track.end
    clipped = NOT_GOOD  # ticks that the event, clipped, and those after it take
    if fault.can_clip:
        clipped = probe(data, fault.after, end, status, limits.longest, LENIENT)
        if clipped >= 0:
            clipped += fault.delta
    best, to, mode = NOT_GOOD, fault.after, CLIP
    if begin < end and 0x80 <= data[begin] < 0xF0:
        to, mode = begin, NO_DELTA
        is_own = is_note_of_channel(data[begin], status)
        if is_own and probe(data, begin, end, status, limits.plausible, PAIR_AT_STATUS) >= 0:
            return to, mode
        best = probe(data, begin, end, status, limits.plausible, STRICT_AT_STATUS)
    for at in range(max(track.first - 1, begin - BACK), min(begin + NEAR, end if clipped < 0 else fault.after)):
        if at != begin:
            ticks = probe(data, at, end, status, limits.plausible, STRICT)
            if ticks >= 0:
                ticks += abs(at - begin) * limits.beat // BYTES_OF_A_BEAT
                if best < 0 or ticks < best:
                    best, to, mode = ticks, at, AT_EVENT
    if clipped >= 0 and (best < 0 or CLEARLY * (best + limits.beat) >= clipped):
        return fault.after, CLIP
    if best >= 0:
        return to, mode
    return _far_resync(data, track, fault, limits), AT_STATUS


@compiled
def _far_resync(data: Bytes, track: Track, fault: Fault, limits: Limits) -> int:
    """Return the next delta time with a status byte behind it from which much reads well; the track's end if none."""
    for at in range(fault.begin + 1, min(track.end, track.stated_end)):
        delta, body = quantity(data, at, track.end)
        has_status = delta >= 0 and body < track.end and data[body] >= 0x80
        if has_status and probe(data, at, track.end, fault.status, limits.plausible, LONG) >= 0:
            return at
    return track.end
