"""The bytes of a Standard MIDI File → note and tempo columns: one pass, compiled, tolerant by construction.

`read_tracks` reads whatever music the tracks hold and says what it had to mend; it never raises. Every loop moves
forward in the data or is bounded by a constant, and no array is larger than the data can fill, so the worst file
takes time and memory in proportion to its size.

What is done where the bytes are not as they should be:

Chunks. A track's length is believed where a chunk or the file's end follows it. Otherwise the track ends at its
End of Track, at the next `MTrk`, or with the file, whichever comes first; beyond the length that it states it is
read for as long as it reads well. A chunk whose name is wrong in one letter is a track. Other chunks are skipped.
More or fewer tracks than the header says are no matter, but a file written over a longer one still has that one's
last tracks: beyond the header's number only tracks that follow directly are read.

Events. A fault is a data byte above 127, a data byte without a status, an undefined status, an event that reaches
beyond its track, a delta time of more than four bytes, or one of more than `LONGEST_REST` beats after which nothing
reads well; and, in a track whose length is wrong and whose events all have a status, one without whose delta time
could be a status. At a fault the reader looks for how the track goes on: a way is good if the next `STRETCH` events
on it, or all up to End of Track, have no fault and no such rest, no note below `LOWEST_PITCH`, and are not note-ons
in running status throughout, as text would be. The ways are

- to clip the byte to 127, as 128 is what the programs of the 1990s wrote for "full"; if it is a note's pitch, to
  leave the note out;
- to take the byte after the last event as a status whose delta time was lost; if it is the note-on or note-off of
  the channel in use, two events that read well are enough and no other way is looked for;
- to start an event anew, from `BACK` bytes before the faulty one on to `NEAR` bytes behind it;
- if none of these is good, the next place where twice as many events read well, the first of them with a status
  byte, so that text or noise is not taken for notes in running status.

Clipping is taken if it is good, unless another way is clearly shorter in time: after a lost byte status bytes are
taken for delta times, which reads on without faults through enormous rests. Of the others the one that takes least
time counts, with a beat for every `BYTES_OF_A_BEAT` bytes that it is away. In a track that has had a fault, rests
and texts longer than those of music are not believed any more.

Notes. A note-off ends the oldest sounding note of its pitch and channel in the same track. All Notes Off and its
relatives (controllers 120 and 123–127) end what sounds on the channel, but not what began at the same tick: programs
write them as a greeting beside the first notes. What sounds at the end of its track gets a beat at most if pitched,
nothing if a drum. Programs hold for a channel within a track.

Sustain pedal. A channel is one instrument of the file, also where its pedal is in another track than its notes; in a
file of type 2 it is one of its sequence. Controller 64 from 64 on puts the pedal down, below 64 it lets it go, as
Reset All Controllers does (121). What a tick says of a channel's pedal counts in the order of the file. A note is held
by the first pedalling that is not over before its key is up: from when the pedal goes down, that tick included, until
it goes up. So a pedal that goes down just when the key goes up holds the note, and one that is changed just then lets
it go. A held note sounds until the pedal goes up or All Sound Off comes (120), at most until its channel and pitch
start anew, at most for `LONGEST_NOTE`; a pedal that is never let go is let go with the last key of the sequence. All
Notes Off ends keys only. Drums (channel 10) have no pedal.

Source: MIDI Manufacturers Association, "The Complete MIDI 1.0 Detailed Specification", Standard MIDI Files 1.0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.score import Repair, segment

DRUM_CHANNEL = 9
DEFAULT_BEAT = 500_000
"""Microseconds per quarter note where no tempo is stated."""
LAST_TICK = 2**31 - 1
"""A track is read up to here: 26 days at 480 ticks a beat and 120 beats a minute."""
LONGEST_NOTE = 120.0
"""Seconds. A longer note is a forgotten note-off or a broken delta time, and no string sounds longer."""
HANGING_BEATS = 1

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

TRACK_LENGTH = Repair.TRACK_LENGTH.bit
TRUNCATED = Repair.TRUNCATED.bit
NO_END_OF_TRACK = Repair.NO_END_OF_TRACK.bit
AFTER_END = Repair.AFTER_END.bit
UNKNOWN_CHUNK = Repair.UNKNOWN_CHUNK.bit
CLIPPED_BYTE = Repair.CLIPPED_BYTE.bit
SKIPPED_BYTES = Repair.SKIPPED_BYTES.bit
SYSTEM_MESSAGE = Repair.SYSTEM_MESSAGE.bit
BAD_TEMPO = Repair.BAD_TEMPO.bit
HANGING_NOTE = Repair.HANGING_NOTE.bit
LONG_NOTE = Repair.LONG_NOTE.bit
TOO_LATE = Repair.TOO_LATE.bit
CHUNK_NAME = Repair.CHUNK_NAME.bit

CLIPPED, BARE, PLAIN, AFRESH = range(4)
"""Ways to read on after a fault."""

# A note as one integer that sorts as notes are ordered: tick, pitch, drum, program, velocity.
PITCH_SHIFT, DRUM_SHIFT, PROGRAM_SHIFT, TICK_SHIFT = 15, 14, 7, 22
BLOCK = 16
"""Notes sorted by insertion before runs are merged."""

PEDAL, ALL_SOUND_OFF, RESET_CONTROLLERS, LOCAL_CONTROL = 64, 120, 121, 122
"""Controllers; all above the last one are kinds of All Notes Off."""
PEDAL_DOWN = 64
"""The least value of the pedal that puts it down."""
UP, DOWN, SILENCE, ACTS = 0, 1, 2, 2
"""What is done to a pedal, and how far the number of the event is shifted to stand before it."""
VOICE_SHIFT = 31
"""A voice is a channel of a sequence: channel + 16 × sequence. It stands before a tick, which has 31 bits."""


def _number(value: int) -> int:
    """A constant that numba takes for any integer: it would compile a function anew for every literal argument."""
    return np.int64(value)  # type: ignore[return-value]


BARE_START, IS_LENIENT, EVENTS = 1, 2, 2
"""What `_stretch` is asked: bits, and how far the number of events is shifted."""
STRICT = _number(STRETCH << EVENTS)
LENIENT = _number(STRETCH << EVENTS | IS_LENIENT)
LONG = _number(2 * STRETCH << EVENTS)
BARE_STRICT, BARE_LENIENT, BARE_LONG = (_number(way | BARE_START) for way in (STRICT, LENIENT, LONG))
BARE_PAIR = _number(2 << EVENTS | BARE_START)
NO_STATUS = _number(0)

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Columns = tuple[
    Numbers,
    Numbers,
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.bool_],
    Numbers,
    NDArray[np.float64],
    int,
    int,
    int,
    int,
    Numbers,
]


@compiled
def _byte(data: Bytes, at: int) -> int:
    """A byte as a number that may be shifted beyond 255."""
    return np.int64(data[at])  # type: ignore[return-value]


@compiled
def _is_track(data: Bytes, at: int) -> bool:
    """Whether `MTrk` stands here."""
    return (
        at + 4 <= len(data)
        and data[at] == 0x4D
        and data[at + 1] == 0x54
        and data[at + 2] == 0x72
        and data[at + 3] == 0x6B
    )


@compiled
def _next_track(data: Bytes, at: int) -> int:
    """Where the next `MTrk` stands, the end of the data if nowhere."""
    while at < len(data) and not _is_track(data, at):
        at += 1
    return at


@compiled
def _size(data: Bytes, at: int) -> int:
    """The length that the chunk at `at` claims."""
    size = 0
    for index in range(at + 4, at + 8):
        size = size << 8 | _byte(data, index)
    return size


@compiled
def _chunk_or_end(data: Bytes, at: int) -> bool:
    """Whether a chunk could begin here, or nothing is left."""
    left = len(data) - at
    if left < 8:
        return left == 0
    if _is_track(data, at):
        return True
    for index in range(at, at + 4):
        if not 0x20 <= data[index] <= 0x7E:
            return False
    return _size(data, at) <= left - 8


@compiled
def _is_nearly_track(data: Bytes, at: int) -> bool:
    """Whether `MTrk` with one wrong letter stands here, and its length is right."""
    wrong = 0
    for index, letter in enumerate((0x4D, 0x54, 0x72, 0x6B)):
        if data[at + index] != letter:
            wrong += 1
    end = at + 8 + _size(data, at)
    return wrong == 1 and end <= len(data) and _chunk_or_end(data, end)


@compiled
def _quantity(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The variable-length quantity at `at` and where it ends; -1 if it is cut or longer than four bytes."""
    value = 0
    for index in range(at, min(at + 4, end)):
        byte = _byte(data, index)
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, index + 1
    return -1, at


@compiled
def _is_own(byte: int, status: int) -> bool:
    """Whether a byte is the note-on or note-off of the channel in use."""
    return bool(byte & 0xEF == status & 0xEF and 0x80 <= status < 0xA0)


@compiled
def _stretch(data: Bytes, at: int, end: int, status: int, most: int, question: int) -> int:
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
            delta, at = _quantity(data, at, end)
            total += delta
            if delta < 0 or total > most:
                return -1
        bare = False
        if at >= end:
            return -1
        byte = _byte(data, at)
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
            length, at = _quantity(data, at + 1, end)
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
def _way_on(
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
        if _is_own(data[event], status) and _stretch(data, event, end, status, sane, BARE_PAIR) >= 0:
            return to, way
        best = _stretch(data, event, end, status, sane, BARE_STRICT)
    for at in range(max(first - 1, event - BACK), min(event + NEAR, end if clipped < 0 else after)):
        if at != event:
            ticks = _stretch(data, at, end, status, sane, STRICT)
            if ticks >= 0:
                ticks += abs(at - event) * beat // BYTES_OF_A_BEAT
                if best < 0 or ticks < best:
                    best, to, way = ticks, at, PLAIN
    if clipped >= 0 and (best < 0 or CLEARLY * (best + beat) >= clipped):
        return after, CLIPPED
    if best >= 0:
        return to, way
    for at in range(event + 1, min(end, claimed)):
        delta, body = _quantity(data, at, end)
        plain = delta >= 0 and body < end and data[body] >= 0x80
        if plain and _stretch(data, at, end, status, sane, LONG) >= 0:
            return at, AFRESH
    return end, AFRESH


@compiled
def _before(keys: Numbers, seconds: Numbers, i: int, key: int, second: int) -> bool:
    """Whether pair `i` comes strictly before (key, second)."""
    return bool(keys[i] < key or (keys[i] == key and seconds[i] < second))


@compiled
def _sort(keys: Numbers, seconds: Numbers, n: int) -> None:
    """Sort the first `n` pairs in place: merging in n log n steps, and about n where little is out of order."""
    for low in range(0, n, BLOCK):
        for i in range(low + 1, min(low + BLOCK, n)):
            key, second = keys[i], seconds[i]
            j = i
            while j > low and not _before(keys, seconds, j - 1, key, second + 1):
                keys[j], seconds[j] = keys[j - 1], seconds[j - 1]
                j -= 1
            keys[j], seconds[j] = key, second
    if n <= BLOCK:
        return
    left_keys, left_seconds = np.empty(n, np.int64), np.empty(n, np.int64)
    width = BLOCK
    while width < n:
        for low in range(0, n - width, 2 * width):
            middle = low + width
            high = min(middle + width, n)
            begin = middle  # what lies before `begin` is in its place already
            while begin > low and _before(keys, seconds, middle, keys[begin - 1], seconds[begin - 1]):
                begin -= 1
            count = middle - begin
            for i in range(count):
                left_keys[i], left_seconds[i] = keys[begin + i], seconds[begin + i]
            i, right, to = 0, middle, begin
            while i < count:
                if right < high and _before(keys, seconds, right, left_keys[i], left_seconds[i]):
                    keys[to], seconds[to] = keys[right], seconds[right]
                    right += 1
                else:
                    keys[to], seconds[to] = left_keys[i], left_seconds[i]
                    i += 1
                to += 1
        width *= 2


@compiled
def _cap(
    keys: Numbers, lengths: Numbers, n: int, ticks: Numbers, beats: NDArray[np.float64], ticks_per_beat: int
) -> bool:
    """Shorten notes of more than LONGEST_NOTE seconds to it; whether there was one."""
    longest = LONGEST_NOTE * 1e6 * ticks_per_beat  # in ticks × microseconds per beat, as all times here
    begins = np.empty(len(ticks))
    begins[0] = 0.0
    slowest = beats[0]
    for i in range(1, len(ticks)):
        begins[i] = begins[i - 1] + (ticks[i] - ticks[i - 1]) * beats[i - 1]
        slowest = max(slowest, beats[i])
    suspect = int(longest / slowest)
    found = False
    for i in range(n):
        if lengths[i] <= suspect:
            continue
        start = keys[i] >> TICK_SHIFT
        at = segment(ticks, start)
        end = begins[at] + (start - ticks[at]) * beats[at] + longest
        until = segment(begins, end)
        most = ticks[until] + int((end - begins[until]) / beats[until]) - start
        if lengths[i] > most:
            lengths[i] = most
            found = True
    return found


@compiled
def _pedallings(moments: Numbers, acts: Numbers, n: int) -> tuple[Numbers, Numbers]:
    """Where pedals go down and where they then go up: `voice << VOICE_SHIFT | tick` both, ascending.

    The last `n` of `moments` are of that form, too, the latest first; those of `acts` are `number << ACTS | act`. A
    pedal that is never let go goes up at LAST_TICK. All Sound Off ends a pedalling, and another one begins.
    """
    moments, acts = moments[: -n - 1 : -1].copy(), acts[: -n - 1 : -1].copy()
    _sort(moments, acts, n)
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
def _sustained(
    keys: Numbers,
    lengths: Numbers,
    voices: NDArray[np.int32],
    n: int,
    pedals: tuple[Numbers, Numbers],
    tempo_map: tuple[Numbers, NDArray[np.float64]],
    ticks_per_beat: int,
) -> Numbers:
    """The notes' lengths with the pedal; empty if it changes none. Sorts `keys` and `lengths`.

    `voices`: of the notes as they were read, before sorting. `pedals`: where they go down and up, from `_pedallings`.
    """
    down, up = pedals
    for i in range(n):
        lengths[i] = lengths[i] << 32 | voices[i]
    _sort(keys, lengths, n)
    sorted_voices = np.empty(n, np.int64)
    for i in range(n):
        sorted_voices[i] = lengths[i] & 0xFFFFFFFF
        lengths[i] >>= 32
    held = _held(keys, lengths, sorted_voices, n, down, up)
    _cap(keys, held, n, tempo_map[0], tempo_map[1], ticks_per_beat)
    for i in range(n):
        if held[i] != lengths[i]:
            return held
    return held[:0]


@compiled
def _tempo_map(ticks: Numbers, tempos: Numbers, n: int) -> tuple[Numbers, NDArray[np.float64]]:
    """The first `n` changes in order; of several at one tick the last holds. Sorts `ticks`."""
    order = np.empty(n, np.int64)
    for i in range(n):
        order[i] = i
    _sort(ticks, order, n)
    at, beats = np.empty(n, np.int64), np.empty(n, np.float64)
    m = 0
    for i in range(n):
        if i + 1 == n or ticks[i + 1] > ticks[i]:
            at[m], beats[m] = ticks[i], tempos[order[i]]
            m += 1
    return at[:m].copy(), beats[:m].copy()


@compiled
def read_tracks(data: Bytes, at: int, count: int, ticks_per_beat: int, successive: bool, fixed_beat: float) -> Columns:
    """All notes and tempo changes of the chunks from `at` on.

    `count`: the tracks that the header speaks of. `successive`: the tracks are sequences of their own (type 2), played
    one after another. `fixed_beat`: microseconds per beat of a file in seconds (SMPTE), whose tempo events mean
    nothing; 0 for a file in beats.

    Returns start, length, pitch, velocity, program, drum of the notes, shape (n,), in the order of Score; ticks and
    microseconds per beat of the tempo map; the repairs' bits; the number of tracks; bytes of tracks read, and
    skipped; the notes' lengths with the sustain pedal, empty if it changes none.
    """
    size = len(data)
    # A note and a controller take three bytes, but at a fault BACK of them may be read again, once in STRETCH events.
    room = size // 2 + 1
    keys, lengths = np.empty(room, np.int64), np.empty(room, np.int64)
    following, voices = np.empty(room, np.int32), np.empty(room, np.int32)
    oldest = np.empty(2048, np.int32)  # by channel and pitch: the sounding note that began first, -1 for none,
    newest = np.empty(2048, np.int32)  # and the one that began last
    oldest[:] = -1
    sounding, programs = np.empty(16, np.int64), np.empty(16, np.int64)
    sounding[:] = 0
    tempo_room = size // 7 + 2  # a tempo event takes seven bytes, a track eight
    tempo_ticks, tempo_beats = np.empty(tempo_room, np.int64), np.empty(tempo_room, np.int64)
    notes, tempos, tracks, repairs = 0, 1, 0, 0
    tempo_ticks[0], tempo_beats[0] = 0, DEFAULT_BEAT
    read, skipped = 0, 0
    offset = 0
    tempo_end = -1  # where the last tempo event ends
    pedals, downs = 0, 0  # events of the pedals lie in the same columns as notes, from the end on
    longest, sane, endless = LONGEST_REST * ticks_per_beat, SANE_REST * ticks_per_beat, LAST_TICK * ticks_per_beat

    while at + 8 <= size:
        if _is_track(data, at):
            pass
        elif _is_nearly_track(data, at):
            repairs |= CHUNK_NAME
        else:
            if tracks >= count and not _chunk_or_end(data, at):
                break
            if _chunk_or_end(data, at):
                repairs |= UNKNOWN_CHUNK
                at += 8 + _size(data, at)
            else:
                at = _next_track(data, at + 1)
                if at < size:
                    repairs |= UNKNOWN_CHUNK
            continue
        tracks += 1
        first = at + 8
        claimed = first + _size(data, at)
        believed = claimed <= size and _chunk_or_end(data, claimed)
        end = claimed if believed else _next_track(data, first)
        at = first
        first_note = notes
        event = first
        tick = offset
        programs[:] = 0
        sequence = tracks - 1 if successive else 0
        status = NO_STATUS
        bare = ended = cut = damaged = ran = False
        if successive and tracks > 1:
            tempo_ticks[tempos], tempo_beats[tempos] = offset, DEFAULT_BEAT
            tempos += 1

        while at < end:
            event = at
            fault = clip = False
            delta = 0
            if bare:
                bare = False
            else:
                delta = _byte(data, at)
                at += 1
                if delta >= 0x80:
                    delta, at = _quantity(data, event, end)
                    if damaged and delta > sane:
                        if delta > longest or _stretch(data, at, end, status, sane, BARE_LONG) < 0:
                            delta = -1
                    elif delta > longest and _stretch(data, at, end, status, endless, BARE_LENIENT) < 0:
                        delta = -1
                    if delta < 0:
                        fault = True
                        if end - event < 4:
                            cut = True
                            break
            if not fault:
                if at >= end:
                    cut = True
                    break
                byte = _byte(data, at)
                if byte >= 0xF0:
                    if byte == 0xFF and at + 1 < end and data[at + 1] == 0x2F:
                        ended = True
                        tick += delta
                        at = min(at + 3, end)
                        break
                    if byte == 0xFF or byte == 0xF0 or byte == 0xF7:
                        kind = -1
                        body = at + 1
                        if byte == 0xFF:
                            kind = _byte(data, min(at + 1, end - 1))
                            body = at + 2
                        length, body = _quantity(data, body, end)
                        if kind > 0x7F or (damaged and length > LONGEST_TEXT):
                            fault = True
                        elif length < 0 or body + length > end:
                            # A system exclusive message may have swallowed the file's rest, a text has hardly.
                            if end == size and not damaged and (kind < 0 or at + 6 > end):
                                cut = True
                                break
                            fault = True
                        else:
                            at = body + length
                            tick += delta
                            if kind == 0x51 and fixed_beat == 0:
                                tempo = 0
                                if length == 3:
                                    for index in range(body, at):
                                        tempo = tempo << 8 | _byte(data, index)
                                if tempo > 0 and tick <= LAST_TICK:
                                    tempo_ticks[tempos], tempo_beats[tempos] = tick, tempo
                                    tempo_end = at
                                    tempos += 1
                                elif tempo == 0:
                                    repairs |= BAD_TEMPO
                    else:
                        # What belongs on a wire only; song position and its like have data bytes.
                        at += 1
                        for _ in range(2 if byte == 0xF2 else 1 if byte == 0xF1 or byte == 0xF3 else 0):
                            if at < end and data[at] < 0x80:
                                at += 1
                        undefined = byte == 0xF4 or byte == 0xF5 or byte == 0xF9 or byte == 0xFD
                        if undefined or _stretch(data, at, end, status, sane, LENIENT) < 0:
                            fault = True
                        else:
                            repairs |= SYSTEM_MESSAGE
                            tick += delta
                else:
                    if byte >= 0x80:
                        status = byte
                        at += 1
                    elif not believed and not ran and at == event + 2 and _is_own(data[event], status):
                        # No event was without a status so far. This one has none because its delta time is lost.
                        fault = _stretch(data, event, end, status, sane, BARE_PAIR) >= 0
                    else:
                        ran = True
                    if status == 0:
                        fault = True
                    elif not fault:
                        two = 1 if status >> 5 != 6 else 0
                        if at + 1 + two > end:
                            cut = True
                            break
                        one, other = _byte(data, at), _byte(data, at + two)
                        at += 1 + two
                        if (one | other) > 0x7F:
                            fault = clip = True
                        else:
                            tick += delta
            if fault:
                if claimed <= event:
                    end = event
                    cut = True
                    break
                clipped = -1
                if clip:
                    clipped = _stretch(data, at, end, status, longest, LENIENT)
                    if clipped >= 0:
                        clipped += delta
                to, way = _way_on(data, first, event, at, claimed, end, status, clipped, ticks_per_beat)
                if way == CLIPPED:
                    repairs |= CLIPPED_BYTE
                    tick += delta
                    if one > 0x7F and status < 0xA0:
                        continue  # a note of no pitch
                    one, other = min(one, 127), min(other, 127)
                elif to == end and claimed > size and end - event <= LONGEST_TEXT and not damaged:
                    cut = True  # in the midst of an event
                    break
                else:
                    repairs |= SKIPPED_BYTES
                    skipped += max(to - event, 0)
                    if to < event and event == tempo_end:
                        tempos -= 1  # it has lost a byte
                    at = to
                    damaged = True
                    bare = way == BARE
                    if way == AFRESH:
                        status = NO_STATUS
                    continue
            elif byte >= 0xF0:
                continue
            if tick > LAST_TICK:
                repairs |= TOO_LATE
                break

            kind = status >> 4
            channel = status & 15
            if kind == 8 or kind == 9:
                slot = channel << 7 | one
                if kind == 9 and other > 0:
                    drum = int(channel == DRUM_CHANNEL)
                    keys[notes] = (
                        tick << TICK_SHIFT
                        | one << PITCH_SHIFT
                        | drum << DRUM_SHIFT
                        | programs[channel] << PROGRAM_SHIFT
                        | other
                    )
                    lengths[notes] = -1
                    following[notes] = -1
                    voices[notes] = sequence << 4 | channel
                    if oldest[slot] < 0:
                        oldest[slot] = notes
                    else:
                        following[newest[slot]] = notes
                    newest[slot] = notes
                    sounding[channel] += 1
                    notes += 1
                else:
                    note = oldest[slot]
                    if note >= 0:
                        lengths[note] = tick - (keys[note] >> TICK_SHIFT)
                        oldest[slot] = following[note]
                        sounding[channel] -= 1
            elif kind == 12:
                programs[channel] = one
            elif kind == 11 and (one == PEDAL or one >= ALL_SOUND_OFF):
                if one <= RESET_CONTROLLERS and channel != DRUM_CHANNEL:
                    act = SILENCE if one == ALL_SOUND_OFF else UP
                    if one == PEDAL and other >= PEDAL_DOWN:
                        act = DOWN
                        downs += 1
                    pedals += 1
                    keys[room - pedals] = (sequence << 4 | channel) << VOICE_SHIFT | tick
                    lengths[room - pedals] = pedals << ACTS | act
                if one >= ALL_SOUND_OFF and one != RESET_CONTROLLERS and one != LOCAL_CONTROL and sounding[channel] > 0:
                    for slot in range(channel << 7, (channel + 1) << 7):
                        note = oldest[slot]
                        while note >= 0 and keys[note] >> TICK_SHIFT < tick:
                            lengths[note] = tick - (keys[note] >> TICK_SHIFT)
                            note = following[note]
                            sounding[channel] -= 1
                        oldest[slot] = note

        if tick > LAST_TICK:
            tick = LAST_TICK
            repairs |= TOO_LATE
        hanging = 0
        for channel in range(16):
            hanging += sounding[channel]
        if hanging > 0:
            repairs |= HANGING_NOTE
            for note in range(first_note, notes):
                if lengths[note] < 0:
                    drum = keys[note] >> DRUM_SHIFT & 1
                    left = tick - (keys[note] >> TICK_SHIFT)
                    lengths[note] = 0 if drum else min(left, HANGING_BEATS * ticks_per_beat)
            oldest[:] = -1
            sounding[:] = 0
        read += at - first
        if not ended:
            skipped += end - event if cut and damaged else 0
            at = end
            repairs |= TRUNCATED if end == size and (cut or claimed > size) else NO_END_OF_TRACK
        if believed and not (ended and at < end and _is_track(data, at)):
            if ended and at < end:
                repairs |= AFTER_END
            at = claimed
        elif at != claimed:
            repairs |= TRACK_LENGTH
        if successive:
            offset = tick

    map_ticks, map_beats = _tempo_map(tempo_ticks, tempo_beats, tempos)
    if fixed_beat > 0:
        map_ticks, map_beats = map_ticks[:1], map_beats[:1]
        map_beats[0] = fixed_beat
    if _cap(keys, lengths, notes, map_ticks, map_beats, ticks_per_beat):
        repairs |= LONG_NOTE
    sustained = np.empty(0, np.int64)
    if downs > 0:
        spans = _pedallings(keys, lengths, pedals)
        sustained = _sustained(keys, lengths, voices, notes, spans, (map_ticks, map_beats), ticks_per_beat)
    else:
        _sort(keys, lengths, notes)
    starts = np.empty(notes, np.int64)
    pitch, velocity = np.empty(notes, np.uint8), np.empty(notes, np.uint8)
    program, drums = np.empty(notes, np.uint8), np.empty(notes, np.bool_)
    for i in range(notes):
        key = keys[i]
        starts[i] = key >> TICK_SHIFT
        pitch[i] = key >> PITCH_SHIFT & 0x7F
        drums[i] = (key >> DRUM_SHIFT & 1) == 1
        program[i] = key >> PROGRAM_SHIFT & 0x7F
        velocity[i] = key & 0x7F
    return (
        starts,
        lengths[:notes].copy(),
        pitch,
        velocity,
        program,
        drums,
        map_ticks,
        map_beats,
        repairs,
        tracks,
        read,
        skipped,
        sustained,
    )
