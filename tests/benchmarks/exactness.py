"""Exactness of every encoding on every file of a folder, and the share of the music that its grid keeps.

    python tests/benchmarks/exactness.py --corpus DIR [--markdown FILE]

Every file that our reader accepts goes through every encoding, in seconds and in beats, over both vocabularies; a
file with a sustain pedal twice, once with what the pedal holds. Chords and merges are learned from a sample of the
files before. What must hold is in `CHECKS`: of all files, and of a seeded sample where it takes longer.

What is heard, a piece on the grid, is worked out here a second time from the definition in `tokenization.encodings.
grid`, with other means: groups of equal instrument, pitch and tick, by sorting.

The table says, by collection (the first folder below DIR), vocabulary and time, how much of the music is on the grid:

    kept         notes that are heard, of all in the files. Encodings over one grid hear the same notes
    doubles      notes that the files hold twice: same program, pitch and onset
    unisons      other notes that one instrument of the vocabulary would have to play twice at one tick
    error        between the onset of a note and its tick: mean and largest, in milliseconds. In beats along the piece's
                 own tempo map, whose tempos the encoding then rounds to those of the vocabulary
    tokens/note  tokens for each note that is kept

Exit status 1 when a file is not exact.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tokenization.augmentation import Variant, apply, apply_to_tokens
from tokenization.dataset.windows import windows
from tokenization.encodings import ENCODINGS, HEADER, Encoding, Time, get_encoding, learn_tokens
from tokenization.encodings.grid import DRUM_TICKS, LEGATO_TICKS, TIE, Grid
from tokenization.encodings.structure import Features, Stepper
from tokenization.midi import MidiError, read_midi, read_score
from tokenization.midi.notes import COLUMNS, Notes
from tokenization.midi.reader import LONGEST_NOTE
from tokenization.midi.writing import write_midi
from tokenization.vocabulary import NO_ROW, PITCHES, Tokens, Vocabulary

SUFFIXES = {".mid", ".midi", ".kar", ".rmi"}
VOCABULARIES = ("musenet", "general_midi")
CHECKS = {
    "grid": "the grid is what its definition says: none lost, none doubled, no onset off by more than half a tick",
    "decode": "decode(encode(x)) = quantised(x), all columns and tempos",
    "encode": "encode(decode(t)) = t",
    "text": "from_text(to_text(t)) = t",
    "steps": "the features of one token at a time = those of the piece",
    "windows": "the features of a window = those of the piece there",
    "midi": "decode → MIDI → encode = t, but for notes above two minutes and pieces above 4,000 beats",
    "transposed": "transposed tokens = tokens of the transposed notes",
    "louder": "transposed and louder tokens = tokens of the decoded notes so varied",
    "stretched": "stretched tokens = tokens of the decoded notes so stretched (seconds)",
    "raised": "nothing raises an error",
}
MIDI_BEATS = 4000
"""A MIDI file has tempos in whole microseconds a beat. At 300 beats a minute what that rounds adds up to half a tick
after so many beats. And much longer pieces need another tempo to fit into a file at all."""
STEPS = 4096
"""Tokens of a piece that features are computed of one at a time."""
SEMITONES, LOUDER, SLOWER = 5, 9, 1.05
SHOWN = 30
"""Faults that are printed."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """One encoding that is examined."""

    vocabulary: str
    encoding: Encoding

    @property
    def grid(self) -> tuple[str, Time]:
        return self.vocabulary, self.encoding.time

    def __str__(self) -> str:
        return f"{self.encoding.name} {self.encoding.time} {self.vocabulary}"


@dataclass(frozen=True)
class Job:
    """One file to examine."""

    path: Path
    collection: str
    is_sampled: bool
    """True if the checks that take longer are made, too."""


@dataclass
class Sums:
    """Sums for a vocabulary, a time and a collection."""

    files: int = 0
    notes: int = 0
    kept: int = 0
    doubles: int = 0
    error: float = 0.0
    """Milliseconds, of all notes that are kept."""
    largest: float = 0.0
    tokens: Counter[str] = field(default_factory=Counter)
    """By encoding."""

    def add(self, other: Sums) -> None:
        for column in fields(self):
            here, there = getattr(self, column.name), getattr(other, column.name)
            setattr(self, column.name, max(here, there) if column.name == "largest" else here + there)


@dataclass
class Findings:
    """Findings about one file."""

    job: Job
    is_read: bool = True
    checked: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Failed checks with their encodings."""
    sums: dict[tuple[str, Time], Sums] = field(default_factory=dict)
    written: Counter[tuple[str, Time]] = field(default_factory=Counter)
    """Number of times that the notes of the file, written as MIDI and read, gave the same tokens of `combined`."""

    def check(self, name: str, case: Case, holds: bool) -> None:
        self.checked[name] += 1
        if not holds:
            self.faults.append((name, str(case)))


# What is heard, from its definition.


@dataclass(frozen=True, eq=False)
class Clock:
    """Ticks of a grid by seconds. Columns have shape (m,)."""

    begins: NDArray[np.float64]
    rate: NDArray[np.float64]
    """Ticks a second from there."""
    origin: float
    """The tick of the piece's beginning, counted from second 0."""

    @classmethod
    def of(cls, notes: Notes, vocabulary: Vocabulary, time: Time) -> Clock:
        first = float(notes.onset.min())
        if time is Time.SECONDS:
            rate = float(vocabulary.ticks_per_second)
            return cls(np.zeros(1), np.array([rate]), first * rate)
        beat = vocabulary.ticks_per_beat
        from_zero = cls(notes.tempos.seconds, notes.tempos.tempo * beat / 60.0, 0.0)
        return cls(from_zero.begins, from_zero.rate, float(from_zero.ticks(np.array([first]))[0] // beat * beat))

    def places(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        at = self.part(seconds)
        before = np.concatenate([[0.0], np.cumsum(np.diff(self.begins) * self.rate[:-1])])
        return before[at] + (seconds - self.begins[at]) * self.rate[at] - self.origin

    def ticks(self, seconds: NDArray[np.float64]) -> Numbers:
        return np.floor(self.places(seconds) + 0.5 + TIE).astype(np.int64)

    def part(self, seconds: NDArray[np.float64]) -> Numbers:
        return np.maximum(np.searchsorted(self.begins, seconds, side="right") - 1, 0)


def heard(notes: Notes, clock: Clock, vocabulary: Vocabulary, with_ends: bool) -> Numbers:
    """Return the expected grid: columns start, end, row and pitch, sorted, shape (4, kept)."""
    instrument = np.where(notes.drum, vocabulary.drum_instrument, vocabulary.program_instrument[notes.program])
    voice = instrument.astype(np.int64) * PITCHES + notes.pitch
    start, end = clock.ticks(notes.onset), clock.ticks(notes.onset + notes.duration)
    order = np.lexsort((start, voice))
    voice, start, end, velocity = voice[order], start[order], end[order], notes.velocity[order]
    first = np.flatnonzero(np.append(True, (np.diff(voice) != 0) | (np.diff(start) != 0)))
    voice, start = voice[first], start[first]
    end, loudest = np.maximum.reduceat(end, first), np.maximum.reduceat(velocity, first)
    instrument, pitch = np.divmod(voice, PITCHES)
    held = vocabulary.off_row[instrument] != NO_ROW
    after = np.append(np.where(np.diff(voice) == 0, start[1:], np.iinfo(np.int64).max), np.iinfo(np.int64).max)
    end = np.minimum(np.maximum(end, start + 1), after)
    if not with_ends:
        for one in np.unique(instrument):
            mine = instrument == one
            starts = np.unique(start[mine])
            following = np.append(starts[1:], starts[-1] + LEGATO_TICKS)
            end[mine] = np.minimum(following[np.searchsorted(starts, start[mine])], start[mine] + LEGATO_TICKS)
    end = np.where(held, end, start + DRUM_TICKS)
    return ordered(start, end, vocabulary.on_row[instrument, loudest], pitch)


def ordered(start: Numbers, end: Numbers, row: NDArray[np.uint8], pitch: NDArray[np.integer]) -> Numbers:
    columns = np.stack([start, end, row.astype(np.int64), pitch.astype(np.int64)])
    return columns[:, np.lexsort(columns[::-1])]


def of_grid(grid: Grid) -> Numbers:
    return ordered(grid.start, grid.end, grid.row, grid.pitch)


def doubles(notes: Notes) -> int:
    """Count the notes that are in the file more than once."""
    program = np.where(notes.drum, PITCHES, notes.program).astype(np.int64)
    voice = program * PITCHES + notes.pitch
    order = np.lexsort((notes.onset, voice))
    return int(((np.diff(voice[order]) == 0) & (np.diff(notes.onset[order]) == 0)).sum())


def same_notes(left: Notes, right: Notes) -> bool:
    columns = [(getattr(left, name), getattr(right, name)) for name in COLUMNS]
    if left.tempo_map is not None and right.tempo_map is not None:
        columns += [(left.tempo_map.seconds, right.tempo_map.seconds), (left.tempo_map.tempo, right.tempo_map.tempo)]
    has_same_map = (left.tempo_map is None) == (right.tempo_map is None)
    return has_same_map and left.tempo == right.tempo and all(np.array_equal(*pair) for pair in columns)


# One file.


def examine(job: Job) -> Findings:
    """All checks of one file."""
    findings = Findings(job)
    try:
        score = read_score(job.path.read_bytes())
    except MidiError:
        findings.is_read = False
        return findings
    pieces = [score.to_notes()] + ([score.to_notes(sustain=True)] if score.sustained is not None else [])
    for number, notes in enumerate(pieces):
        # Encodings over one grid share the files that are written of what they hear.
        files: dict[tuple[str, Time, bool], Notes] = {}
        for case in cases():
            try:
                tokens = examine_piece(notes, case, findings, is_counted=number == 0)
                if job.is_sampled and number == len(pieces) - 1:
                    examine_longer(notes, tokens, case, findings, files)
                findings.check("raised", case, True)
            except Exception as error:  # whatever an encoding raises, the sweep goes on and reports it
                findings.check("raised", case, False)
                findings.faults.append((f"raised {type(error).__name__}: {error}", str(case)))
    return findings


def examine_piece(notes: Notes, case: Case, findings: Findings, is_counted: bool) -> Tokens:
    """The checks that every piece goes through; its tokens."""
    encoding = case.encoding
    vocabulary = encoding.vocabulary
    clock = Clock.of(notes, vocabulary, encoding.time)
    grid = encoding.grid(notes)
    onset = notes.onset[grid.source]
    off = np.abs(clock.places(onset) - grid.start)
    is_grid = np.array_equal(of_grid(grid), heard(notes, clock, vocabulary, encoding.writes_ends))
    findings.check("grid", case, is_grid and float(off.max()) < 0.5 + 2 * TIE)
    tokens = encoding.encode(notes)
    decoded = encoding.decode(tokens)
    findings.check("decode", case, same_notes(decoded, encoding.quantised(notes)))
    findings.check("encode", case, np.array_equal(encoding.encode(decoded), tokens))
    if is_counted:
        sums = findings.sums.setdefault(case.grid, Sums())
        if not sums.files:
            error = off * 1000 / clock.rate[clock.part(onset)]
            sums.files, sums.notes, sums.kept, sums.doubles = 1, len(notes), len(grid), doubles(notes)
            sums.error, sums.largest = float(error.sum()), float(error.max())
        sums.tokens[encoding.name] += len(tokens)
    return tokens


def examine_longer(
    notes: Notes, tokens: Tokens, case: Case, findings: Findings, files: dict[tuple[str, Time, bool], Notes]
) -> None:
    """The checks that only a sample goes through."""
    encoding = case.encoding
    vocabulary = encoding.vocabulary
    findings.check("text", case, np.array_equal(vocabulary.from_text(vocabulary.to_text(tokens)), tokens))
    whole = encoding.features(tokens)
    findings.check("steps", case, are_same_steps(tokens, whole, encoding))
    findings.check("windows", case, is_same_window(tokens, whole, encoding))
    decoded = encoding.decode(tokens)
    if decoded.seconds * decoded.tempos.tempo.max() / 60 <= MIDI_BEATS:
        kind = (*case.grid, encoding.writes_ends)
        if kind not in files:
            files[kind] = read_midi(write_midi(decoded))
        wanted = tokens
        if decoded.duration.max() > LONGEST_NOTE:  # tempos of the vocabulary may make notes longer than files have them
            wanted = encoding.encode(replace(decoded, duration=np.minimum(decoded.duration, LONGEST_NOTE)))
        findings.check("midi", case, np.array_equal(encoding.encode(files[kind]), wanted))
    if encoding.name == "combined":
        findings.written[case.grid] += np.array_equal(encoding.encode(read_midi(write_midi(notes))), tokens)

    pitched = notes.pitch[~notes.drum]
    up = min(SEMITONES, PITCHES - 1 - int(pitched.max(initial=0)))
    transposed = Variant(transpose=up or -min(SEMITONES, int(pitched.min(initial=0))))
    varied = apply_to_tokens(tokens, transposed, encoding)
    findings.check("transposed", case, np.array_equal(varied, encoding.encode(apply(notes, transposed))))
    louder = Variant(transpose=transposed.transpose, velocity_shift=LOUDER)
    varied = apply_to_tokens(tokens, louder, encoding)
    findings.check("louder", case, np.array_equal(varied, encoding.encode(apply(decoded, louder))))
    if encoding.time is Time.SECONDS:
        slower = Variant(stretch=SLOWER)
        varied = apply_to_tokens(tokens, slower, encoding)
        findings.check("stretched", case, np.array_equal(varied, encoding.encode(apply(decoded, slower))))


def are_same_steps(tokens: Tokens, whole: Features, encoding: Encoding) -> bool:
    stepper = Stepper(np.array([len(tokens)]), encoding.effects)
    steps = [stepper.step(tokens[at : at + 1]) for at in range(min(len(tokens), STEPS))]
    return all(
        np.array_equal(np.concatenate([getattr(step, name.name) for step in steps]), getattr(whole, name.name)[:STEPS])
        for name in fields(Features)
    )


def is_same_window(tokens: Tokens, whole: Features, encoding: Encoding) -> bool:
    """Return True if the window from the middle of the body on is header and body as they are in the whole piece."""
    start = (len(tokens) - HEADER) // 2
    at = np.append(np.arange(HEADER), np.arange(HEADER + start, len(tokens)))
    found = windows([tokens], [start], [len(tokens)], HEADER, len(at), encoding.effects, encoding.vocabulary.pad)
    wanted = np.stack([tokens[at], *(getattr(whole, name.name)[at] for name in fields(Features))])
    return np.array_equal([column[0] for column in found], wanted)


# All files.

_ENCODINGS: list[tuple[str, str, str, Time]] = []
"""The subject of this process: the vocabulary's name and JSON, the encoding's name, its time."""


def take_up(encodings: list[tuple[str, str, str, Time]]) -> None:
    _ENCODINGS[:] = encodings


@cache
def cases() -> tuple[Case, ...]:
    """The encodings, once in every process."""
    return tuple(
        Case(vocabulary, get_encoding(name, Vocabulary.from_json(text), when))
        for vocabulary, text, name, when in _ENCODINGS
    )


def learned(paths: Sequence[Path], units: int) -> Iterator[tuple[str, str, str, Time]]:
    """All encodings, with units learned from those files."""
    pieces = [notes for notes in map(notes_of, paths) if notes is not None]
    for vocabulary in VOCABULARIES:
        for when in Time:
            for name in ENCODINGS:
                encoding = get_encoding(name, Vocabulary.load(vocabulary), when)
                encoding = learn_tokens(encoding, [encoding.encode(notes) for notes in pieces], units)
                yield vocabulary, encoding.vocabulary.to_json(), name, when


def notes_of(path: Path) -> Notes | None:
    try:
        return read_midi(path.read_bytes())
    except MidiError:
        return None


def listed(corpus: Path, sample: int, seed: int) -> list[Job]:
    """The files of a folder; the seed says which of them are the sample."""
    found = sorted(path for path in corpus.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    drawn = set(random.Random(seed).sample(found, min(sample, len(found))))
    folders = [path.relative_to(corpus).parts[:-1] for path in found]
    return [Job(path, folder[0] if folder else ".", path in drawn) for path, folder in zip(found, folders)]


def summed_up(all_findings: Iterable[Findings]) -> dict[tuple[str, Time], dict[str, Sums]]:
    """By grid and collection, all collections together last."""
    table: dict[tuple[str, Time], dict[str, Sums]] = {}
    for findings in all_findings:
        for grid, sums in findings.sums.items():
            for collection in (findings.job.collection, "all"):
                table.setdefault(grid, {}).setdefault(collection, Sums()).add(sums)
    for grid, rows in table.items():
        table[grid] = {name: rows[name] for name in sorted(rows, key=lambda name: (name == "all", name))}
    return table


def table_rows(table: dict[tuple[str, Time], dict[str, Sums]]) -> list[list[str]]:
    """The table as text, its head first."""
    head = ["vocabulary", "time", "collection", "files", "notes", "kept", "doubles", "unisons", "mean error ms"]
    rows = [[*head, "largest ms", *(f"{name} tokens/note" for name in ENCODINGS)]]
    for (vocabulary, when), by_collection in table.items():
        for collection, sums in by_collection.items():
            unisons = sums.notes - sums.kept - sums.doubles
            rows.append(
                [
                    vocabulary,
                    str(when),
                    collection,
                    f"{sums.files:,}",
                    f"{sums.notes:,}",
                    f"{sums.kept / sums.notes:.3%}",
                    f"{sums.doubles / sums.notes:.3%}",
                    f"{unisons / sums.notes:.3%}",
                    f"{sums.error / sums.kept:.2f}",
                    f"{sums.largest:.2f}",
                    *(f"{sums.tokens[name] / sums.kept:.2f}" for name in ENCODINGS),
                ]
            )
    return rows


def check_rows(all_findings: Sequence[Findings]) -> list[list[str]]:
    checked: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for findings in all_findings:
        checked += findings.checked
        failed += Counter(name for name, _ in findings.faults)
    rows = [["what must hold", "times looked at", "not so"]]
    return rows + [[what, f"{checked[name]:,}", f"{failed[name]:,}"] for name, what in CHECKS.items()]


def plain(rows: Sequence[Sequence[str]], left: int) -> str:
    """Columns side by side, the first `left` of them flush left, a word of the head on a line of its own."""
    heads = [word.split() for word in rows[0]] if len(rows[0]) > 3 else [[word] for word in rows[0]]
    deep = max(map(len, heads))
    lines = [*zip(*([""] * (deep - len(words)) + words for words in heads)), *rows[1:]]
    widths = [max(map(len, column)) for column in zip(*lines)]

    def placed(line: Sequence[str]) -> str:
        cells = enumerate(zip(line, widths))
        return "  ".join(word.ljust(width) if at < left else word.rjust(width) for at, (word, width) in cells).rstrip()

    return "\n".join(map(placed, lines))


def markdown(rows: Sequence[Sequence[str]], left: int) -> str:
    rule = ["---" if at < left else "---:" for at in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(description="Every encoding on every file: is it exact, and what does it keep?")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of MIDI files")
    parser.add_argument("--sample", type=int, default=100, help="files for the checks that take longer (default 100)")
    parser.add_argument("--learn-from", type=int, default=200, help="files to learn units from (default 200)")
    parser.add_argument("--units", type=int, default=4096, help="chords and merges that are learned (default 4096)")
    parser.add_argument("--seed", type=int, default=0, help="which files these are (default 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default one per core)")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    arguments = parser.parse_args()
    if min(arguments.workers, arguments.units) < 1 or min(arguments.sample, arguments.learn_from) < 0:
        parser.error("--workers and --units are at least 1, --sample and --learn-from at least 0")

    began = time.perf_counter()
    jobs = listed(arguments.corpus, arguments.sample, arguments.seed)
    if not jobs:
        parser.error(f"{arguments.corpus} holds no MIDI file")
    paths = [job.path for job in jobs]
    learn_from = random.Random(arguments.seed).sample(paths, min(arguments.learn_from, len(paths)))
    encodings = list(learned(learn_from, arguments.units))
    learning = time.perf_counter() - began
    print(f"{len(jobs):,} files, {len(encodings)} encodings; learned in {learning:.0f} s", flush=True)
    with ProcessPoolExecutor(arguments.workers, initializer=take_up, initargs=(encodings,)) as pool:
        all_findings = list(pool.map(examine, jobs, chunksize=4))
    read = [findings for findings in all_findings if findings.is_read]
    inexact = [findings for findings in read if findings.faults]
    sampled = [findings for findings in read if findings.job.is_sampled]
    if not read:
        parser.error(f"{arguments.corpus} holds no MIDI file that can be read")

    summary = f"{len(read):,} of {len(jobs):,} files read, {len(inexact)} not exact"
    written = [
        f"{vocabulary} in {when}: {sum(findings.written[vocabulary, when] for findings in sampled)}"
        for vocabulary in VOCABULARIES
        for when in Time
    ]
    note = (
        f"Of the {len(sampled)} files of the sample, those whose own notes give the same tokens of `combined` after "
        f"they were written as MIDI and read: {', '.join(written)}. A file's ticks need not be those that are written."
    )
    tables = [(check_rows(read), 1), (table_rows(summed_up(read)), 3)]
    print("\n\n".join(plain(rows, left) for rows, left in tables))
    print(f"\n{note}\n{summary}, in {time.perf_counter() - began:.0f} s")
    faults = [(findings.job.path, *fault) for findings in inexact for fault in findings.faults]
    for path, check, case in faults[:SHOWN]:
        print(f"{check}: {case}: {path}")
    if len(faults) > SHOWN:
        print(f"and {len(faults) - SHOWN} more")
    if arguments.markdown:
        text = "\n\n".join([f"{summary}.", *(markdown(rows, left) for rows, left in tables), note])
        arguments.markdown.write_text(text + "\n", encoding="utf-8")
    return 1 if inexact else 0


if __name__ == "__main__":
    sys.exit(main())
