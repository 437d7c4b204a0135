"""Turns scores that the `music21` package carries into a starter collection of classical MIDI files.

The encodings in music21's corpus have mixed terms, so no converted file is ever shipped: `convert` makes them
on the user's machine, once, into a cache folder with one sub-folder per composer (which labels the style).

The MIDI is written here rather than by music21's own exporter for three reasons. It is several times faster.
It plays what is printed, once: the exporter unfolds repeats and refuses scores whose repeat signs are odd.
And it is a pure function of the score, with the programs that we choose: the same music21 version gives the
same bytes on every machine, which the digest of a dataset rests on.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import mido

from flows.ingestion.engines.workers import Failure, Heartbeat, Pool
from flows.ingestion.starter.works import COMPOSERS, Composer, Work
from infra.errors import UserError
from infra.files import remove_abandoned, staging_folder, write_atomically

REVISION = 2
"""Raise it whenever the table of works or the conversion changes, so that `cache_name` changes with it."""

LICENCE = "mixed: see corpus/license.txt in the music21 package"

SECONDS_PER_SCORE = 120.0
"""The longest takes about two seconds on a quiet machine, and importing music21 one."""
WORKER_BYTES = 8 << 30

TICKS_PER_QUARTER = 480
CHANNELS = [channel for channel in range(16) if channel != 9]
"""Those of pitched instruments: the tenth plays drums."""
DEFAULT_VELOCITY = 80
# `fp` is loud on one note only: what lasts is the piano.
VELOCITY_OF_DYNAMIC = {"ppp": 32, "pp": 42, "p": 54, "fp": 54, "mp": 66, "mf": 80, "f": 94, "ff": 108, "fff": 120}


class StarterUnavailable(UserError):
    """The classical starter collection cannot be made here; the message says what to install."""

    def __init__(self) -> None:
        super().__init__(
            "the classical starter pieces are converted from scores in the `music21` package, which is not "
            "installed; install the `demo` extra: pip install 'musenet[demo]'"
        )


@dataclass(frozen=True)
class Unconverted:
    """A work that could not be converted, and why."""

    style: str
    work: str
    reason: str


def corpus_folder() -> Path:
    """Where music21 keeps its scores. Finds the package without importing it."""
    found = importlib.util.find_spec("music21")
    if found is None or not found.submodule_search_locations:
        raise StarterUnavailable
    return Path(found.submodule_search_locations[0]) / "corpus"


def cache_name() -> str:
    """A folder name that changes whenever the converted files would: callers put their cache under it."""
    try:
        version = importlib.metadata.version("music21")
    except importlib.metadata.PackageNotFoundError:
        raise StarterUnavailable from None
    return f"music21-{version}-r{REVISION}"


def convert(
    cache: Path,
    workers: int,
    on_progress: Callable[[int, int], None] | None = None,
    composers: Sequence[Composer] = COMPOSERS,
) -> list[Unconverted]:
    """Make every `<cache>/<style>/<work>.mid` that is not there yet, in `workers` processes.

    `on_progress` hears (done, total), first with what the cache already held. A work that cannot be converted
    is in the answer and stops nothing. Raises `StarterUnavailable` where there is work to do and no music21.
    """
    wanted = [(composer, work) for composer in composers for work in composer.works]
    missing = [(c, w) for c, w in wanted if not (cache / c.style / w.midi_name).exists()]
    report = on_progress or (lambda done, total: None)
    done = len(wanted) - len(missing)
    report(done, len(wanted))
    if not missing:
        return []
    unconverted = []
    corpus = corpus_folder()
    remove_abandoned(cache)
    with staging_folder(cache) as home:
        jobs = [_Score(corpus, composer, work) for composer, work in missing]
        with Pool(workers, SECONDS_PER_SCORE, WORKER_BYTES, partial(_prepare, str(home))) as pool:
            for index, outcome in pool.run(_convert_one, jobs):
                composer, work = missing[index]
                if isinstance(outcome, bytes):
                    write_atomically(cache / composer.style / work.midi_name, outcome)
                else:
                    unconverted.append(Unconverted(composer.style, work.path, outcome))
                done += 1
                report(done, len(wanted))
    return sorted(unconverted, key=lambda failed: (failed.style, failed.work))


@dataclass(frozen=True)
class _Score:
    """One score to convert."""

    corpus: Path
    composer: Composer
    work: Work
    failure: str | None = None

    def without(self, item: int, failure: Failure) -> Self:
        return replace(self, failure=str(failure))


def _prepare(home: str) -> None:
    """In a worker, before the clock of the first score runs: import music21.

    It reads ~/.music21rc and makes a folder among the temporary files: with a home that is empty and ours, results
    are the same for everyone and nothing is left behind.
    """
    os.environ["HOME"] = tempfile.tempdir = home
    importlib.import_module("music21.converter")


def _convert_one(score: _Score, heartbeat: Heartbeat) -> bytes | str:
    """In a worker: the MIDI file, or why there is none. Raises nothing, for other scores may be fine."""
    if score.failure:
        return score.failure
    heartbeat.at(0)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return score_to_midi(score.corpus / score.work.path, score.composer.programs, score.work.bpm)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Note(NamedTuple):
    """A note of one part, as printed or as it sounds, in ticks. Sorts by its start."""

    start: int
    pitch: int
    end: int
    tied: bool = False
    """A tie leads to it from the note before."""


def score_to_midi(source: Path, programs: tuple[int, ...], bpm: float) -> bytes:
    """The bytes of a MIDI file that plays the score at `source` as printed, repeats not unfolded."""
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
        # The dynamics of a piano stand between its two staves but belong to the upper one in the file.
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
    """The track of tempos: `bpm` until the score first names one.

    A tempo meant for playback only can share a tick with the printed one, which follows it and counts.
    """
    marks = [(mark.offset, mark.getQuarterBPM()) for mark in score.flatten().getElementsByClass("MetronomeMark")]
    tempos = {_ticks(offset): mido.bpm2tempo(pace) for offset, pace in [(0, bpm), *marks] if pace}
    return _track((tick, 0, mido.MetaMessage("set_tempo", tempo=heartbeat)) for tick, heartbeat in tempos.items())


def _dynamics(stream: Any) -> list[tuple[int, int]]:
    """(tick, velocity) of the dynamics that last, in order; accents such as `sf` are left out."""
    marks = ((_ticks(mark.offset), mark.value) for mark in stream.flatten().getElementsByClass("Dynamic"))
    return sorted((tick, VELOCITY_OF_DYNAMIC[name]) for tick, name in marks if name in VELOCITY_OF_DYNAMIC)


def _printed(part: Any) -> Iterable[Note]:
    """The notes of a part as printed. Grace notes, which take no time, and chord symbols are left out."""
    for element in part.flatten().notes:
        if element.duration.isGrace or "Harmony" in element.classes:
            continue
        start, end = _ticks(element.offset), _ticks(element.offset + element.duration.quarterLength)
        for note in element.notes if element.isChord else [element]:
            if end > start and hasattr(note, "pitch"):
                tied = note.tie is not None and note.tie.type in ("continue", "stop")
                yield Note(start, note.pitch.midi, end, tied)


def sounding(printed: Iterable[Note]) -> list[Note]:
    """What is heard, in order: a tied note prolongs the one before, and no pitch sounds twice at once.

    A MIDI channel cannot tell two notes of a pitch apart: the first note-off would silence both. So unisons become
    one note, and a note that is struck again ends there.
    """
    heard: list[Note] = []
    latest: dict[int, int] = {}  # pitch -> place in `heard`
    for note in sorted(printed):
        place = latest.get(note.pitch)
        if place is not None:
            before = heard[place]
            if before.start == note.start or (note.tied and before.end == note.start):
                heard[place] = before._replace(end=max(before.end, note.end))
                continue
            heard[place] = before._replace(end=min(before.end, note.start))
        latest[note.pitch] = len(heard)
        heard.append(note._replace(tied=False))
    return heard


def _voice(channel: int, program: int, notes: Iterable[Note], dynamics: list[tuple[int, int]]) -> mido.MidiTrack:
    """A part's track. The velocity of a note is that of the last dynamic at or before its start."""
    changes = [tick for tick, _ in dynamics]
    velocities = [DEFAULT_VELOCITY, *(velocity for _, velocity in dynamics)]
    events = [(0, 0, mido.Message("program_change", program=program, channel=channel))]
    for note in notes:
        velocity = velocities[bisect_right(changes, note.start)]
        on = mido.Message("note_on", note=note.pitch, velocity=velocity, channel=channel)
        events.append((note.start, 2, on))  # after the note-offs: a key that is struck again must be released first
        events.append((note.end, 1, mido.Message("note_off", note=note.pitch, channel=channel)))
    return _track(events)


def _track(events: Iterable[tuple[int, int, mido.Message]]) -> mido.MidiTrack:
    """A track from (tick, rank among those of a tick, message)."""
    track = mido.MidiTrack()
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track"))
    return track
