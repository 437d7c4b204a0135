"""The end of a track: which End of Track is the true one, and what follows it."""

from __future__ import annotations

from tokenization.compiled import compiled
from tokenization.midi.reader.chunks import Bytes, Track, is_track
from tokenization.midi.reader.recovery import STRICT, Limits, probe
from tokenization.midi.repairs import Repair

TRACK_LENGTH = Repair.TRACK_LENGTH.bit
TRUNCATED = Repair.TRUNCATED.bit
NO_END_OF_TRACK = Repair.NO_END_OF_TRACK.bit
AFTER_END = Repair.AFTER_END.bit

END_EVENT = 3
"""Bytes of an End of Track: FF 2F 00."""


@compiled
def reads_on(data: Bytes, track: Track, at: int, status: int, limits: Limits, has_notes: bool) -> bool:
    """Return True if an End of Track that ends at `at` is an early one, so that the track goes on behind it.

    The events behind it must read well, and be the track's by its length: another End of Track closes the chunk, or
    the track has no note so far.
    """
    if at >= min(track.end, track.stated_end) or is_track(data, at):
        return False
    end = track.end
    is_closed = (
        track.is_trusted
        and at + END_EVENT < end
        and data[end - 3] == 0xFF
        and data[end - 2] == 0x2F
        and data[end - 1] == 0
    )
    return (is_closed or not has_notes) and probe(data, at, end, status, limits.longest, STRICT) >= 0


@compiled
def after_track(data: Bytes, track: Track, at: int, end: int, has_ended: bool, is_cut: bool) -> tuple[int, int]:
    """Return where the chunk after a track begins, and the bits of repairs of the track's end.

    `at`: where reading stopped. `end`: where the events end at the latest. `has_ended`: by an End of Track.
    """
    repairs = 0
    if not has_ended:
        at = end
        is_truncated = end == len(data) and (is_cut or track.stated_end > len(data))
        repairs |= TRUNCATED if is_truncated else NO_END_OF_TRACK
    if track.is_trusted and not (has_ended and at < end and is_track(data, at)):
        if has_ended and at < end:
            repairs |= AFTER_END
        return track.stated_end, repairs
    return at, repairs | (TRACK_LENGTH if at != track.stated_end else 0)
