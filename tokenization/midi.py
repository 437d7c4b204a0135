"""MIDI files ⇄ notes: symusic reads, mido reads what symusic refuses, mido writes.

Both readers deliver ticks and a tempo map; seconds are computed here, once, in 64-bit arithmetic, so that a
file's notes do not depend on the reader.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import mido
import numpy as np
import symusic
from numpy.typing import NDArray

from tokenization.notes import DEFAULT_TEMPO, Notes

DRUM_CHANNEL = 9
MICROSECONDS_PER_MINUTE = 60_000_000
DEFAULT_BEAT = MICROSECONDS_PER_MINUTE / DEFAULT_TEMPO
LONGEST_BEAT = 0xFFFFFF
"""Microseconds per beat that a tempo event can say."""
WRITE_TICKS_PER_BEAT = 960
HEADER = b"MThd"
LONGEST_WRAPPER = 256
"""Bytes that old systems put before the header; what stands later is no MIDI file."""
SMALLEST_FILE = 14
"""Bytes of a header chunk."""


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


@dataclass(frozen=True)
class _Ticks:
    """What a reader found, in the file's own time."""

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    program: NDArray[np.int64]
    drum: NDArray[np.bool_]
    tempo_ticks: NDArray[np.int64]
    tempo_beats: NDArray[np.float64]
    """Microseconds per quarter note from each of `tempo_ticks` on."""
    ticks_per_beat: int


def read_midi(data: bytes) -> Notes:
    """The notes of a Standard MIDI File. Raises MidiError for a file without usable music."""
    if HEADER not in data[:LONGEST_WRAPPER]:
        raise MidiError(Unreadable.NOT_MIDI, "no MThd header" if data else "the file is empty")
    if len(data) < SMALLEST_FILE:
        raise MidiError(Unreadable.TRUNCATED, f"{len(data)} bytes are less than a header")
    try:
        ticks = _read_symusic(data)
    except Exception as refusal:  # the C++ parser raises RuntimeError and others
        ticks = _read_mido(data, str(refusal).strip())
    if len(ticks.start) == 0:
        raise MidiError(Unreadable.NO_NOTES, "the file is read to its end and holds no note")
    return _to_notes(ticks)


def _read_symusic(data: bytes) -> _Ticks:
    score: Any = symusic.Score.from_midi(data)
    if score.ticks_per_quarter <= 0:
        raise ValueError(f"{score.ticks_per_quarter} ticks per beat")
    columns = [track.notes.numpy() for track in score.tracks]
    counts = [len(track["time"]) for track in columns]
    tempos = score.tempos.numpy()

    def joined(name: str) -> NDArray[np.int64]:
        return np.concatenate([np.zeros(0, np.int64), *(track[name] for track in columns)]).astype(np.int64)

    return _Ticks(
        start=joined("time"),
        length=joined("duration"),
        pitch=joined("pitch"),
        velocity=joined("velocity"),
        program=np.repeat(np.array([track.program for track in score.tracks], np.int64), counts),
        drum=np.repeat(np.array([track.is_drum for track in score.tracks], np.bool_), counts),
        tempo_ticks=tempos["time"].astype(np.int64),
        tempo_beats=tempos["mspq"].astype(np.float64),
        ticks_per_beat=score.ticks_per_quarter,
    )


def _read_mido(data: bytes, refusal: str) -> _Ticks:
    """The slow path, message by message; data bytes above 127 are clipped. Raises MidiError."""
    try:
        midi = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except EOFError as error:
        raise MidiError(Unreadable.TRUNCATED, "the file ends inside a track") from error
    except Exception as error:  # mido raises IndexError, KeySignatureError, OSError and others on broken bytes
        detail = str(error).strip() or refusal or type(error).__name__
        raise MidiError(_reason(data, refusal), detail) from error
    if midi.ticks_per_beat <= 0 or midi.ticks_per_beat >= 0x8000:
        raise MidiError(Unreadable.UNSUPPORTED_TIMING, f"division {midi.ticks_per_beat} is not ticks per beat")
    rows: list[tuple[int, int, int, int, int, bool]] = []
    tempos: list[tuple[int, float]] = []
    for track in midi.tracks:
        rows += _track_notes(track, tempos)
    tempos.sort(key=lambda item: item[0])
    table = np.array(rows, np.int64).reshape(-1, 6)
    return _Ticks(
        start=table[:, 0],
        length=table[:, 1],
        pitch=table[:, 2],
        velocity=table[:, 3],
        program=table[:, 4],
        drum=table[:, 5].astype(np.bool_),
        tempo_ticks=np.array([tick for tick, _ in tempos], np.int64),
        tempo_beats=np.array([beat for _, beat in tempos], np.float64),
        ticks_per_beat=midi.ticks_per_beat,
    )


def _reason(data: bytes, refusal: str) -> Unreadable:
    """Why neither reader could go on, from the first one's words."""
    if not data.startswith(HEADER):
        return Unreadable.NOT_MIDI
    return Unreadable.TRUNCATED if "chunk length" in refusal else Unreadable.DAMAGED


def _track_notes(track: Any, tempos: list[tuple[int, float]]) -> list[tuple[int, int, int, int, int, bool]]:
    """Notes (start, length, pitch, velocity, program, drum) of one track; appends its tempo changes."""
    notes = []
    sounding: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    program = [0] * 16
    tick = 0
    for message in track:
        tick += message.time
        if message.type == "set_tempo":
            tempos.append((tick, float(message.tempo)))
        elif message.type == "program_change":
            program[message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            if message.type == "note_on" and message.velocity > 0:
                sounding.setdefault(key, []).append((tick, message.velocity, program[message.channel]))
            elif sounding.get(key):
                start, velocity, voice = sounding[key].pop(0)
                notes.append((start, tick - start, message.note, velocity, voice, message.channel == DRUM_CHANNEL))
    for (channel, pitch), held in sounding.items():
        for start, velocity, voice in held:
            notes.append((start, tick - start, pitch, velocity, voice, channel == DRUM_CHANNEL))
    return notes


def _to_notes(ticks: _Ticks) -> Notes:
    end = ticks.start + ticks.length
    change_ticks, change_beats = _tempo_map(ticks)
    seconds_per_tick = change_beats / (1e6 * ticks.ticks_per_beat)
    change_seconds = np.concatenate([[0.0], np.cumsum(np.diff(change_ticks) * seconds_per_tick[:-1])])

    def seconds(at: NDArray[np.int64]) -> NDArray[np.float64]:
        segment = np.searchsorted(change_ticks, at, side="right") - 1
        return np.asarray(change_seconds[segment] + (at - change_ticks[segment]) * seconds_per_tick[segment])

    onset = seconds(ticks.start)
    last = int(end.max())
    spans = np.diff(np.append(np.minimum(change_ticks, last), last)) * seconds_per_tick
    beats, index = np.unique(change_beats, return_inverse=True)
    longest = beats[np.bincount(index, weights=spans).argmax()]
    return Notes.from_columns(
        onset,
        np.maximum(seconds(end) - onset, 0.0),
        np.clip(ticks.pitch, 0, 127),
        np.clip(ticks.velocity, 1, 127),
        np.clip(ticks.program, 0, 127),
        ticks.drum,
        MICROSECONDS_PER_MINUTE / longest,
    )


def _tempo_map(ticks: _Ticks) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ticks of the tempo changes, the first one 0, and microseconds per beat from each on.

    Of several changes at one tick the last holds; a tempo of zero, which no clock can play, is left out.
    """
    usable = ticks.tempo_beats > 0
    at = np.concatenate([[0], ticks.tempo_ticks[usable]]).astype(np.int64)
    beats = np.concatenate([[DEFAULT_BEAT], ticks.tempo_beats[usable]])
    order = np.argsort(at, kind="stable")
    at, beats = at[order], beats[order]
    last_of_tick = np.append(np.diff(at) > 0, True)
    return at[last_of_tick], beats[last_of_tick]


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
