"""MIDI files ⇄ notes: our own reader, which takes whatever music there is in a file, and mido as the writer."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from enum import StrEnum
from typing import Any

import mido
import numpy as np
from numpy.typing import NDArray

from tokenization.notes import Notes
from tokenization.reader import DRUM_CHANNEL, read_tracks
from tokenization.score import DEFAULT_BEAT, MICROSECONDS_PER_MINUTE, Repair, Score, repairs_of

VERSION = 1
"""Raised whenever the same bytes would give other notes; what was read by another version is read anew."""
LONGEST_BEAT = 0xFFFFFF
"""Microseconds per beat that a tempo event can say."""
WRITE_TICKS_PER_BEAT = 960
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


class MidiError(ValueError):
    """A file without usable music: `reason` says which kind, the message says what was found."""

    def __init__(self, reason: Unreadable, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


def read_midi(data: bytes) -> Notes:
    """The notes of a Standard MIDI File, in seconds. Raises MidiError for a file without usable music."""
    return read_score(data).to_notes()


def read_score(data: bytes) -> Score:
    """The notes of a Standard MIDI File in its own time, and what was mended. Raises MidiError if there is no note.

    `tokenization.reader` says which faults of tracks are mended and how. Around the tracks: a wrapper (RIFF,
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
    start, lengths, pitch, velocity, program, drum, tempo_ticks, tempo_beats, bits, tracks, read, skipped = result
    found |= bits
    if kind > 2:
        found |= Repair.FORMAT.bit
    if tracks != count:
        found |= Repair.TRACK_COUNT.bit
    if skipped > MOST_SKIPPED * read:
        return MidiError(Unreadable.DAMAGED, f"{skipped} of {read} bytes of the tracks make no sense")
    repairs = repairs_of(found)
    if len(start) == 0:
        if Repair.TRUNCATED in repairs:
            return MidiError(Unreadable.TRUNCATED, "the file ends inside a track, before the first note")
        return MidiError(Unreadable.NO_NOTES, "the file is read to its end and holds no note")
    return Score(*(start, lengths, pitch, velocity, program, drum), tempo_ticks, tempo_beats, ticks_per_beat, repairs)


def write_midi(notes: Notes, names: dict[int, str] | None = None) -> bytes:
    """A type-1 file: a tempo track, then one track and channel per program, drums on channel 10.

    `names` gives track names by program, in Latin-1. More programs than the 15 pitched channels share the last one.
    """
    midi = mido.MidiFile(type=1, ticks_per_beat=WRITE_TICKS_PER_BEAT)
    beat = min(max(round(MICROSECONDS_PER_MINUTE / notes.tempo), 1), LONGEST_BEAT)
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=beat), mido.MetaMessage("end_of_track")])
    midi.tracks.append(head)
    ticks_per_second = WRITE_TICKS_PER_BEAT * 1e6 / beat
    start = np.rint(notes.onset * ticks_per_second).astype(np.int64)
    end = np.maximum(np.rint((notes.onset + notes.duration) * ticks_per_second).astype(np.int64), start + 1)
    channels = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    for index, program in enumerate(np.unique(notes.program[~notes.drum]).tolist()):
        chosen = np.flatnonzero(~notes.drum & (notes.program == program))
        name = (names or {}).get(program, f"program {program}")
        channel = channels[min(index, len(channels) - 1)]
        midi.tracks.append(_write_track(notes, start, end, chosen, name, channel, program))
    if notes.drum.any():
        midi.tracks.append(_write_track(notes, start, end, np.flatnonzero(notes.drum), "drums", DRUM_CHANNEL, 0))
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


def _write_track(
    notes: Notes,
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    chosen: NDArray[np.int64],
    name: str,
    channel: int,
    program: int,
) -> Any:
    """One track with the chosen notes; at one tick a note's end comes before the next one's start."""
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=name))
    track.append(mido.Message("program_change", channel=channel, program=program))
    ticks = np.concatenate([end[chosen], start[chosen]])
    is_on = np.repeat([0, 1], len(chosen))
    pitch = np.tile(notes.pitch[chosen], 2)
    velocity = np.concatenate([np.zeros(len(chosen), np.int64), notes.velocity[chosen]])
    order = np.lexsort((pitch, is_on, ticks))
    deltas = np.diff(ticks[order], prepend=0)
    columns = (deltas, is_on[order], pitch[order], velocity[order])
    for delta, on, key, loudness in zip(*(column.tolist() for column in columns)):
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, channel=channel, note=key, velocity=loudness, time=delta))
    track.append(mido.MetaMessage("end_of_track"))
    return track
