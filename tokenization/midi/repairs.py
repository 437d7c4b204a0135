"""Repairs: the closed list of faults that the reader mends, by name and as bits of one number."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache


class Repair(StrEnum):
    """A fault of a file that did not keep it from being read."""

    WRAPPER = "wrapper"
    """Something stood before the header: a RIFF wrapper, a MacBinary header, junk."""
    TEXT_MODE = "text_mode"
    """A transfer as text had put a carriage return before every line feed; they are taken out."""
    HEADER_LENGTH = "header_length"
    """The header is longer or shorter than its stated length."""
    FORMAT = "format"
    """The file type is none of 0, 1 and 2; read as type 1."""
    TRACK_COUNT = "track_count"
    """There are more or fewer tracks than the header states."""
    TRACK_LENGTH = "track_length"
    """A track is longer or shorter than its stated length; its end is found by other signs."""
    TRUNCATED = "truncated"
    """The file ends inside a track, which is read up to there."""
    NO_END_OF_TRACK = "no_end_of_track"
    """A track has no End of Track event."""
    AFTER_END = "after_end"
    """Bytes follow a track's End of Track that are not its events; they are not read."""
    UNKNOWN_CHUNK = "unknown_chunk"
    """Bytes between the tracks that belong to none are skipped."""
    CLIPPED_BYTE = "clipped_byte"
    """A data byte above 127 is read as 127; a note with such a pitch is left out."""
    SKIPPED_BYTES = "skipped_bytes"
    """Bytes inside a track make no sense; reading resumes at the next place that does."""
    SYSTEM_MESSAGE = "system_message"
    """A real-time or common message, which belongs on a wire and not in a file, is skipped."""
    BAD_TEMPO = "bad_tempo"
    """A tempo of zero, or not of three bytes, is left out."""
    HANGING_NOTE = "hanging_note"
    """A note has no note-off: it lasts a beat at most, a drum hit no time."""
    LONG_NOTE = "long_note"
    """A note of more than two minutes is shortened to that."""
    TOO_LATE = "too_late"
    """A track goes on beyond 2³¹ ticks; the events there are not read."""
    CHUNK_NAME = "chunk_name"
    """The header's or a track's name is wrong in one letter."""
    EARLY_END = "early_end"
    """An End of Track comes before its track's last events; it is passed over."""

    @property
    def bit(self) -> int:
        """The bit of a repair in a number that holds several; new repairs go last in the list."""
        return 1 << _REPAIRS.index(self)


_REPAIRS = tuple(Repair)


@lru_cache(maxsize=1024)
def repairs_of(bits: int) -> tuple[Repair, ...]:
    """Return the repairs whose bits are set, sorted."""
    return tuple(sorted(repair for repair in Repair if bits & repair.bit))
