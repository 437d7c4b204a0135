"""MIDI files → scores and notes, by our own reader, which recovers whatever music a damaged file holds."""

from __future__ import annotations

import struct
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from infra.errors import UserError
from infra.wording import counted
from tokenization.midi.containers import container_of
from tokenization.midi.notes import Notes
from tokenization.midi.reader import read_tracks
from tokenization.midi.repairs import Repair, repairs_of
from tokenization.midi.score import Score
from tokenization.midi.standard import DEFAULT_BEAT

VERSION = 3
"""Raised whenever the same bytes would give other notes; files read by another version are read again."""
HEADER = b"MThd"
TRACK = b"MTrk"
LONGEST_WRAPPER = 256
"""Bytes before the header, as old systems put there; a file with more is no MIDI file."""
HEADER_SIZE = 14
"""Bytes of a header chunk."""
FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30_000 / 1001, 30: 30.0}
"""Frames per second by their name in a division in seconds (SMPTE); 29 is 30 with dropped frames."""
MOST_SKIPPED = 0.5
"""Share of the tracks' bytes. If more make no sense, the rest is not taken for music."""
_FIELDS = struct.Struct(">IHHh")


class Unreadable(StrEnum):
    """The reasons for which a file gives no notes."""

    NOT_MIDI = "not_midi"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NO_NOTES = "no_notes"
    UNSUPPORTED_TIMING = "unsupported_timing"


class MidiError(UserError, ValueError):
    """A file without usable music: `reason` is its kind, `detail` what was found."""

    def __init__(self, reason: Unreadable, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class _Header(NamedTuple):
    """The header of a file."""

    tracks_at: int
    """Byte offset of the first track's chunk."""
    kind: int
    """0, 1 or 2; others are read as 1."""
    tracks: int
    """The stated number of tracks."""
    ticks_per_beat: int
    fixed_beat: float
    """Microseconds per beat of a file in seconds (SMPTE), 0 for a file in beats."""
    repairs: int
    """Bits."""


def read_midi(data: bytes, sustain: bool = False) -> Notes:
    """Read the notes of a Standard MIDI File, in seconds.

    `sustain`: durations include the time that the sustain pedal holds a note after its key is up. Raises MidiError
    for a file without usable music.
    """
    return read_score(data).to_notes(sustain)


def read_score(data: bytes) -> Score:
    """Read the notes of a Standard MIDI File in ticks, with the tempo map and the repairs that were needed.

    `tokenization.midi.reader` has the rules for faults in tracks. Around the tracks: a wrapper (RIFF, MacBinary, junk)
    is skipped, a header of wrong length counts if a track follows where it should end, and line ends that a transfer
    as text has changed are changed back if then, and only then, all lengths are right. Raises MidiError for a file
    without usable music.
    """
    try:
        score = _read(data)
    except MidiError:
        restored = _read_text_mode(data)
        if restored is None:
            raise
        return restored
    if _has_shifted(score):
        restored = _read_text_mode(data)
        return score if restored is None else restored
    return score


def _read_text_mode(data: bytes) -> Score | None:
    """Read a file after undoing a transfer as text; None if there was none or all lengths are not right then."""
    if not data.count(b"\n") == data.count(b"\r\n") > 0:
        return None
    try:
        score = _read(data.replace(b"\r\n", b"\n"))
    except MidiError:
        return None
    if _has_shifted(score):
        return None
    return replace(score, repairs=tuple(sorted({*score.repairs, Repair.TEXT_MODE})))


def _has_shifted(score: Score) -> bool:
    """Return True if bytes seem to be missing or too many."""
    return Repair.SKIPPED_BYTES in score.repairs or Repair.TRACK_LENGTH in score.repairs


def _read(data: bytes) -> Score:
    """Read a file as it stands. Raises MidiError."""
    header = _read_header(data)
    tracks = read_tracks(
        np.frombuffer(data, np.uint8),
        header.tracks_at,
        header.tracks,
        header.ticks_per_beat,
        header.kind == 2,
        header.fixed_beat,
    )
    found = header.repairs | tracks.repairs
    if tracks.tracks != header.tracks:
        found |= Repair.TRACK_COUNT.bit
    if tracks.skipped > MOST_SKIPPED * tracks.read:
        raise MidiError(
            Unreadable.DAMAGED, f"{tracks.skipped:,} of {counted(tracks.read, 'byte')} of the tracks make no sense"
        )
    repairs = repairs_of(found)
    if len(tracks.start) == 0:
        if Repair.TRUNCATED in repairs:
            raise MidiError(Unreadable.TRUNCATED, "the file ends inside a track, before the first note")
        raise MidiError(Unreadable.NO_NOTES, _without_notes(tracks.tracks, repairs))
    return Score(
        tracks.start,
        tracks.length,
        tracks.pitch,
        tracks.velocity,
        tracks.program,
        tracks.drum,
        tracks.tempo_ticks,
        tracks.tempo_beats,
        header.ticks_per_beat,
        repairs,
        tracks.sustained if len(tracks.sustained) else None,
    )


def _without_notes(tracks: int, repairs: tuple[Repair, ...]) -> str:
    """Describe a file without notes: what was read, and what was not."""
    if not tracks:
        return "no track follows the header"
    left_out = {
        Repair.AFTER_END: "bytes behind an End of Track",
        Repair.SKIPPED_BYTES: "bytes that make no sense",
        Repair.UNKNOWN_CHUNK: "bytes that belong to no track",
    }
    parts = [text for repair, text in left_out.items() if repair in repairs]
    return "no track holds a note" + (f"; left out: {', '.join(parts)}" if parts else "")


def _read_header(data: bytes) -> _Header:
    """Read the header, wherever it is. Raises MidiError if the tracks cannot be found or their time is unknown."""
    at = 0
    repairs = 0
    if data[:4] != HEADER:
        kind = container_of(data)  # an archive may hold a MIDI file uncompressed
        if kind is not None:
            raise MidiError(Unreadable.NOT_MIDI, f"the file is {kind}")
        at = _find_header(data)
        if at < 0:
            raise MidiError(Unreadable.NOT_MIDI, "no MThd header" if data else "the file is empty")
        repairs = Repair.WRAPPER.bit if at else Repair.CHUNK_NAME.bit
    if len(data) < at + HEADER_SIZE:
        raise MidiError(
            Unreadable.TRUNCATED, f"a header has {HEADER_SIZE} bytes, and the file ends after {len(data) - at}"
        )
    length, kind, tracks, division = _FIELDS.unpack_from(data, at + 4)
    first = at + HEADER_SIZE
    if length != 6:
        stated = at + 8 + length
        if length > 6 and data[stated : stated + 4] == TRACK:
            first = stated  # later versions of the format may have longer headers
        elif data[first : first + 4] == TRACK:
            repairs |= Repair.HEADER_LENGTH.bit
        else:
            raise MidiError(Unreadable.DAMAGED, f"no track follows the header of {counted(length, 'byte')}")
    if kind > 2:
        repairs |= Repair.FORMAT.bit
    ticks_per_beat, fixed_beat = _timing(division)
    return _Header(first, kind, tracks, ticks_per_beat, fixed_beat, repairs)


def _find_header(data: bytes) -> int:
    """Return where the header is in a file that does not begin with it, -1 if nowhere."""
    is_nearly = sum(a == b for a, b in zip(data, HEADER)) == 3
    if is_nearly and data[4:8] == b"\x00\x00\x00\x06" and data[HEADER_SIZE : HEADER_SIZE + 4] == TRACK:
        return 0
    is_riff = data[:4] == b"RIFF" and data[8:12] == b"RMID"
    return data.find(HEADER, 0, len(data) if is_riff else LONGEST_WRAPPER)


def _timing(division: int) -> tuple[int, float]:
    """Return the ticks of a beat, and the microseconds per beat of a file in seconds (SMPTE), 0 for one in beats."""
    if division > 0:
        return division, 0.0
    # The high byte is the negative frame rate, the low one the ticks of a frame.
    ticks_per_second = FRAME_RATES.get(-(division >> 8), 0.0) * (division & 0xFF)
    if not ticks_per_second:
        raise MidiError(Unreadable.UNSUPPORTED_TIMING, f"division {division} is no time")
    ticks_per_beat = max(round(ticks_per_second * DEFAULT_BEAT / 1e6), 1)
    return ticks_per_beat, ticks_per_beat / ticks_per_second * 1e6
