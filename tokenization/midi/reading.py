"""MIDI files → notes: our own reader, which takes whatever music there is in a file."""

from __future__ import annotations

import struct
from dataclasses import replace
from enum import StrEnum

import numpy as np

from infra.errors import UserError
from tokenization.midi.notes import Notes
from tokenization.midi.reader import read_tracks
from tokenization.midi.score import DEFAULT_BEAT, Repair, Score, repairs_of

VERSION = 2
"""Raised whenever the same bytes would give other notes; what was read by another version is read anew."""
HEADER = b"MThd"
TRACK = b"MTrk"
ZIP = b"PK\x03\x04"
"""How a .zip archive begins, in which a file may lie unpacked."""
LONGEST_WRAPPER = 256
"""Bytes that old systems put before the header; what stands later is no MIDI file."""
SMALLEST_FILE = 14
"""Bytes of a header chunk."""
FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30_000 / 1001, 30: 30.0}
"""Frames per second by what a division in seconds (SMPTE) calls them; 29 is 30 with dropped frames."""
MOST_SKIPPED = 0.5
"""Part of the tracks' bytes. Where more makes no sense, what is left is not taken for music."""
_FIELDS = struct.Struct(">IHHh")


class Unreadable(StrEnum):
    """Why no notes can be had from a file."""

    NOT_MIDI = "not_midi"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NO_NOTES = "no_notes"
    UNSUPPORTED_TIMING = "unsupported_timing"


class MidiError(UserError, ValueError):
    """A file without usable music: `reason` says which kind, the message says what was found."""

    def __init__(self, reason: Unreadable, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


def read_midi(data: bytes, sustain: bool = False) -> Notes:
    """The notes of a Standard MIDI File, in seconds. Raises MidiError for a file without usable music.

    `sustain`: durations are those of the sounds that the sustain pedal holds, not those of the keys.
    """
    return read_score(data).to_notes(sustain)


def read_score(data: bytes) -> Score:
    """The notes of a Standard MIDI File in its own time, and what was mended. Raises MidiError if there is no note.

    `tokenization.midi.reader` says which faults of tracks are mended and how. Around the tracks: a wrapper (RIFF,
    MacBinary, junk) is passed over, a header of wrong length counts if a track follows where it should end, and
    line ends that a transfer as text has changed are changed back if then, and only then, all lengths are right.
    """
    result = _read(data)
    if isinstance(result, Score) and not _out_of_step(result):
        return result
    if data.count(b"\n") == data.count(b"\r\n") > 0:
        mended = _read(data.replace(b"\r\n", b"\n"))
        if isinstance(mended, Score) and not _out_of_step(mended):
            return replace(mended, repairs=tuple(sorted({*mended.repairs, Repair.TEXT_MODE})))
    if isinstance(result, MidiError):
        raise result
    return result


def _out_of_step(score: Score) -> bool:
    """Whether bytes seem to be missing or too many."""
    return Repair.SKIPPED_BYTES in score.repairs or Repair.TRACK_LENGTH in score.repairs


def _find_header(data: bytes) -> int:
    """Where the header is in a file that does not begin with it, -1 if nowhere."""
    nearly = sum(a == b for a, b in zip(data, HEADER)) == 3
    if nearly and data[4:8] == b"\x00\x00\x00\x06" and data[SMALLEST_FILE : SMALLEST_FILE + 4] == TRACK:
        return 0
    if data.startswith(ZIP):
        return -1
    is_riff = data[:4] == b"RIFF" and data[8:12] == b"RMID"
    return data.find(HEADER, 0, len(data) if is_riff else LONGEST_WRAPPER)


def _read(data: bytes) -> Score | MidiError:
    at = 0
    found = 0
    if data[:4] != HEADER:
        at = _find_header(data)
        if at < 0:
            return MidiError(Unreadable.NOT_MIDI, "no MThd header" if data else "the file is empty")
        found = Repair.WRAPPER.bit if at else Repair.CHUNK_NAME.bit
    if len(data) < at + SMALLEST_FILE:
        return MidiError(Unreadable.TRUNCATED, f"{len(data) - at} bytes are less than a header")
    length, kind, count, division = _FIELDS.unpack_from(data, at + 4)
    first = at + SMALLEST_FILE
    if length != 6:
        stated = at + 8 + length
        if length > 6 and data[stated : stated + 4] == TRACK:
            first = stated  # later versions of the format may have longer headers
        elif data[first : first + 4] == TRACK:
            found |= Repair.HEADER_LENGTH.bit
        else:
            return MidiError(Unreadable.DAMAGED, f"no track follows the header of {length} bytes")
    if division > 0:
        ticks_per_beat, beat = division, 0.0
    else:
        # The high byte is the negative frame rate, the low one the ticks of a frame.
        ticks_per_second = FRAME_RATES.get(-(division >> 8), 0.0) * (division & 0xFF)
        if not ticks_per_second:
            return MidiError(Unreadable.UNSUPPORTED_TIMING, f"division {division} is no time")
        ticks_per_beat = max(round(ticks_per_second * DEFAULT_BEAT / 1e6), 1)
        beat = ticks_per_beat / ticks_per_second * 1e6
    result = read_tracks(np.frombuffer(data, np.uint8), first, count, ticks_per_beat, kind == 2, beat)
    bits, tracks, read, skipped, sustained = result[8:]
    found |= bits
    if kind > 2:
        found |= Repair.FORMAT.bit
    if tracks != count:
        found |= Repair.TRACK_COUNT.bit
    if skipped > MOST_SKIPPED * read:
        return MidiError(Unreadable.DAMAGED, f"{skipped} of {read} bytes of the tracks make no sense")
    repairs = repairs_of(found)
    if len(result[0]) == 0:
        if Repair.TRUNCATED in repairs:
            return MidiError(Unreadable.TRUNCATED, "the file ends inside a track, before the first note")
        return MidiError(Unreadable.NO_NOTES, "the file is read to its end and holds no note")
    return Score(*result[:8], ticks_per_beat, repairs, sustained if len(sustained) else None)
