"""Conversion of a music21 score to MIDI.

The MIDI is written here rather than by music21's own exporter for three reasons. It is several times faster. It plays
the score as printed, once: the exporter unfolds repeats and refuses scores whose repeat signs are odd. And it is a
pure function of the score, with programs chosen here: the same music21 version gives the same bytes on every machine,
on which the digest of a dataset rests.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import mido

TICKS_PER_QUARTER = 480
CHANNELS = [channel for channel in range(16) if channel != 9]
"""Channels of pitched instruments; the tenth plays drums."""
DEFAULT_VELOCITY = 80
# `fp` is loud on one note only; the dynamic that lasts is the piano.
VELOCITY_OF_DYNAMIC = {"ppp": 32, "pp": 42, "p": 54, "fp": 54, "mp": 66, "mf": 80, "f": 94, "ff": 108, "fff": 120}


class Note(NamedTuple):
    """A note of one part, as printed or as it sounds, in ticks. Sorts by its start."""

    start: int
    pitch: int
    end: int
    tied: bool = False
    """True if a tie leads to it from the note before."""


def score_to_midi(source: Path, programs: tuple[int, ...], bpm: float) -> bytes:
    """Return a MIDI file that plays the score at `source` as printed, repeats not unfolded.

    `programs`: General MIDI programs (from 0), one for each part or a single one for all. `bpm`: quarter notes per
    minute until the score names a tempo. Raises ValueError for a score without notes or with another number of parts.
    """
    from music21 import converter

    score: Any = converter.parse(source, forceSource=True)  # forceSource: neither reads nor writes pickled scores
    parts = list(score.parts)
    if len(programs) not in (1, len(parts)):
        raise ValueError(f"it has {len(parts)} parts, and the table has programs for {len(programs)}")
    score.toSoundingPitch(inPlace=True)
    one_instrument = len(programs) == 1
    programs = programs * len(parts) if one_instrument else programs
    tracks = [_conductor(score, bpm)]
    for channel, program, part in zip(CHANNELS[: len(parts)], programs, parts, strict=True):
        # The dynamics of a piano are printed between its staves but belong to the upper one in the file.
        dynamics = _dynamics(score if one_instrument else part)
        if notes := sounding(_printed(part)):
            tracks.append(_voice(channel, program, notes, dynamics))
    if len(tracks) == 1:
        raise ValueError("it has no notes")
    content = io.BytesIO()
    mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER, tracks=tracks).save(file=content)
    return content.getvalue()


def _ticks(quarters: float) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def _conductor(score: Any, bpm: float) -> mido.MidiTrack:
    """Return the tempo track: `bpm` until the score first names a tempo.

    A tempo meant for playback only can share a tick with the printed one, which follows it and takes effect.
    """
    marks = [(mark.offset, mark.getQuarterBPM()) for mark in score.flatten().getElementsByClass("MetronomeMark")]
    tempos = {_ticks(offset): mido.bpm2tempo(pace) for offset, pace in [(0, bpm), *marks] if pace}
    return _track((tick, 0, mido.MetaMessage("set_tempo", tempo=heartbeat)) for tick, heartbeat in tempos.items())


def _dynamics(stream: Any) -> list[tuple[int, int]]:
    """Return (tick, velocity) of the lasting dynamics in order; accents such as `sf` are left out."""
    marks = ((_ticks(mark.offset), mark.value) for mark in stream.flatten().getElementsByClass("Dynamic"))
    return sorted((tick, VELOCITY_OF_DYNAMIC[name]) for tick, name in marks if name in VELOCITY_OF_DYNAMIC)


def _printed(part: Any) -> Iterable[Note]:
    """Yield the notes of a part as printed, without grace notes, which take no time, and chord symbols."""
    for element in part.flatten().notes:
        if element.duration.isGrace or "Harmony" in element.classes:
            continue
        start, end = _ticks(element.offset), _ticks(element.offset + element.duration.quarterLength)
        for note in element.notes if element.isChord else [element]:
            if end > start and hasattr(note, "pitch"):
                tied = note.tie is not None and note.tie.type in ("continue", "stop")
                yield Note(start, note.pitch.midi, end, tied)


def sounding(printed: Iterable[Note]) -> list[Note]:
    """Return the notes as they sound, in order: a tied note prolongs the one before, and no pitch overlaps itself.

    A MIDI channel cannot tell two notes of a pitch apart: the first note-off would silence both. So unisons become
    one note, and a note that is struck again ends there.
    """
    heard: list[Note] = []
    latest: dict[int, int] = {}  # pitch -> index in `heard`
    for note in sorted(printed):
        index = latest.get(note.pitch)
        if index is not None:
            before = heard[index]
            if before.start == note.start or (note.tied and before.end == note.start):
                heard[index] = before._replace(end=max(before.end, note.end))
                continue
            heard[index] = before._replace(end=min(before.end, note.start))
        latest[note.pitch] = len(heard)
        heard.append(note._replace(tied=False))
    return heard


def _voice(channel: int, program: int, notes: Iterable[Note], dynamics: list[tuple[int, int]]) -> mido.MidiTrack:
    """Return a part's track; the velocity of a note is that of the last dynamic at or before its start."""
    changes = [tick for tick, _ in dynamics]
    velocities = [DEFAULT_VELOCITY, *(velocity for _, velocity in dynamics)]
    events = [(0, 0, mido.Message("program_change", program=program, channel=channel))]
    for note in notes:
        velocity = velocities[bisect_right(changes, note.start)]
        on = mido.Message("note_on", note=note.pitch, velocity=velocity, channel=channel)
        events.append((note.start, 2, on))  # after the note-offs: a key is released before it is struck again
        events.append((note.end, 1, mido.Message("note_off", note=note.pitch, channel=channel)))
    return _track(events)


def _track(events: Iterable[tuple[int, int, mido.Message]]) -> mido.MidiTrack:
    """Return a track of events (tick, rank among the events of a tick, message)."""
    track = mido.MidiTrack()
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track"))
    return track
