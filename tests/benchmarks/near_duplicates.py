"""Precision and recall of families on edits of real pieces, kind by kind.

    python tests/benchmarks/near_duplicates.py --corpus DIR [--pieces N] [--json FILE]

Originals: every piece of the corpus, but one only of those that the folders' own naming declares to be versions of one
work (`work_of`). Edits: of a seeded sample, even over collections; every kind makes one edit of each sampled piece.

recall     share of edits that are in the family of their original
precision  of the pairs of sampled pieces and edits of a kind that share a family, the share that have one original or
           two with the same music
strangers  pairs of different originals in one family, over the whole corpus; those without the same music are listed

Collections hold the same music under different names. What counts as the same is decided without fingerprints, note by
note: two pieces have the same music if at least a quarter of the shorter one's runs of six pitch intervals are in the
other (`common_runs`; chords from low to high). How often that is so for random pairs of one folder is printed too.

For information only: how many of the versions that folders declare (other takes, performances of one score, other
transcriptions) are found at the same threshold. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import combinations, islice, zip_longest
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.families import DEFAULT_THRESHOLD, find_families
from tokenization.fingerprint import fingerprint, similarity
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

SUFFIXES = {".mid", ".midi"}
EXACT, LOSSY = 0.98, 0.9
"""Least recall of edits that keep the structure, and of those that lose notes."""
LEAST_PRECISION = 0.99

RUN = 6
"""Intervals in a run that two pieces may have in common."""
CHORD_SECONDS = 0.05
SAME_MUSIC = 0.25
"""The share of common runs from which two pieces have the same music."""

Edit = Callable[[Notes, np.random.Generator], Notes]


def rebuilt(
    notes: Notes,
    onset: NDArray[np.float64] | None = None,
    duration: NDArray[np.float64] | None = None,
    pitch: NDArray[np.int64] | None = None,
    velocity: NDArray[np.int64] | None = None,
    tempo: float | None = None,
) -> Notes:
    """The piece with other columns, sorted again."""
    return Notes.from_columns(
        notes.onset if onset is None else onset,
        notes.duration if duration is None else duration,
        notes.pitch if pitch is None else pitch,
        notes.velocity if velocity is None else velocity,
        notes.program,
        notes.drum,
        notes.tempo if tempo is None else tempo,
    )


def chosen(notes: Notes, which: NDArray[np.bool_] | NDArray[np.int64]) -> Notes:
    """Some notes, or all in another order."""
    return Notes(
        notes.onset[which],
        notes.duration[which],
        notes.pitch[which],
        notes.velocity[which],
        notes.program[which],
        notes.drum[which],
        notes.tempo,
    )


def transposed(notes: Notes, generator: np.random.Generator) -> Notes:
    """Up to 6 semitones up or down, as far as the keyboard allows; drums stay."""
    pitch = notes.pitch.astype(np.int64)
    pitched = pitch[~notes.drum]
    if len(pitched) == 0:
        return notes
    shifts = [shift for shift in range(-6, 7) if shift and -pitched.min() <= shift <= 127 - pitched.max()]
    return rebuilt(notes, pitch=np.where(notes.drum, pitch, pitch + generator.choice(shifts)))


def retimed(notes: Notes, generator: np.random.Generator) -> Notes:
    """Up to 15 % faster or slower."""
    stretch = generator.uniform(0.85, 1.15)
    return rebuilt(notes, notes.onset * stretch, notes.duration * stretch, tempo=notes.tempo / stretch)


def revoiced(notes: Notes, generator: np.random.Generator) -> Notes:
    """Every velocity up to 20 louder or softer."""
    changed = notes.velocity.astype(np.int64) + generator.integers(-20, 21, len(notes))
    return rebuilt(notes, velocity=np.clip(changed, 1, 127))


def split(notes: Notes, generator: np.random.Generator) -> Notes:
    """Each instrument's notes dealt out to two, instruments renumbered: written to a file of other tracks in another
    order, and read again."""
    program = (generator.permutation(128)[notes.program] + generator.integers(0, 2, len(notes))) % 128
    dealt = replace(notes, program=np.where(notes.drum, 0, program).astype(np.uint8))
    return read_midi(write_midi(dealt))


def shuffled(notes: Notes, generator: np.random.Generator) -> Notes:
    """Tracks in another order: notes of one onset and pitch change places."""
    return rebuilt(chosen(notes, generator.permutation(len(notes))))


def quantised(notes: Notes, generator: np.random.Generator) -> Notes:
    """Starts and ends on sixteenths of the file's stated tempo, whether or not it was played to it."""
    grid = 15 / notes.tempo
    onset = np.rint(notes.onset / grid) * grid
    end = np.maximum(np.rint((notes.onset + notes.duration) / grid) * grid, onset + grid)
    return rebuilt(notes, onset, end - onset)


def cut(notes: Notes, at_start: bool) -> Notes:
    """Without the tenth of its time at one end."""
    first, last = notes.onset[0], notes.onset[-1]
    tenth = (last - first) / 10
    left = chosen(notes, notes.onset >= first + tenth if at_start else notes.onset <= last - tenth)
    return rebuilt(left, left.onset - left.onset[0])


def thinned(notes: Notes, generator: np.random.Generator) -> Notes:
    """Without one note in twenty."""
    kept = generator.random(len(notes)) >= 0.05
    return chosen(notes, kept) if kept.any() else notes


def in_turn(*edits: Edit) -> Edit:
    def edited(notes: Notes, generator: np.random.Generator) -> Notes:
        for edit in edits:
            notes = edit(notes, generator)
        return notes

    return edited


KINDS: dict[str, tuple[Edit, float | None]] = {
    "transpose ±6": (transposed, EXACT),
    "tempo ±15 %": (retimed, EXACT),
    "velocity ±20": (revoiced, EXACT),
    "tracks shuffled": (shuffled, EXACT),
    "tracks split, through a file": (split, EXACT),
    "transpose + tempo + velocity": (in_turn(transposed, retimed, revoiced), EXACT),
    "quantise 1/16": (quantised, EXACT),
    "cut 10 % at the start": (lambda notes, _: cut(notes, True), LOSSY),
    "cut 10 % at the end": (lambda notes, _: cut(notes, False), LOSSY),
    "5 % of the notes dropped": (thinned, LOSSY),
    "transpose + quantise + drop": (in_turn(transposed, quantised, thinned), None),
    "tempo + cut + drop": (in_turn(retimed, lambda notes, _: cut(notes, True), thinned), None),
}
"""Edits and the least recall that each must have; None: for information."""


def work_of(path: str) -> str | None:
    """The work that a file is a version of, by the naming of its collection; None for what does not say.

    POP909: a song's folder. Performances of a score: the piece's folder, with or without repeats. Nottingham: a tune's
    name, melody alone or with chords. PiJAMA: album and title, whichever transcription. Mutopia: the name without
    paper format. GiantMIDI names its three versions of a piece differently: its works are unknown.
    """
    parts, stem = PurePosixPath(path).parts, PurePosixPath(path).stem
    match parts[0]:
        case "pop" | "classical_piano" if len(parts) > 3 and not parts[2].startswith("giantmidi"):
            return re.sub(r"(_no)?_repeat$", "", "/".join(parts[:3]))
        case "classical_piano":
            return None
        case "folk":
            return f"folk/{stem}"
        case "jazz_piano":
            return "/".join(part for part in parts if part != "kong_transcription")
        case "mutopia":
            return f"{parts[0]}/{parts[1]}/" + re.sub(r"(-let|-letter|-a4|-lys|-midi|~\d+)+$", "", stem)
    return path


def interval_runs(notes: Notes) -> NDArray[np.int64]:
    """Every run of RUN pitch intervals as a number; notes less than CHORD_SECONDS apart stand in order of pitch."""
    pitched = ~notes.drum if not notes.drum.all() else notes.drum
    onset, pitch = notes.onset[pitched], notes.pitch[pitched].astype(np.int64)
    chord = np.cumsum(np.diff(onset, prepend=onset[0]) > CHORD_SECONDS)
    order = np.lexsort((pitch, chord))
    steps = np.unique(chord[order] * 128 + pitch[order])
    intervals = np.diff(steps % 128) + 128
    if len(intervals) < RUN:
        return np.zeros(0, np.int64)
    return np.lib.stride_tricks.sliding_window_view(intervals, RUN) @ 256 ** np.arange(RUN)


def common_runs(left: Notes, right: Notes) -> float:
    """The share of the shorter piece's runs of intervals that are in the longer one."""
    shorter, longer = sorted((interval_runs(left), interval_runs(right)), key=len)
    return float(np.isin(shorter, longer).mean()) if len(shorter) else 0.0


class Judge:
    """Says whether two of the pieces have the same music, and remembers it."""

    def __init__(self, pieces: list[Notes]) -> None:
        self.pieces = pieces
        self.known: dict[tuple[int, int], bool] = {}

    def __call__(self, left: int, right: int) -> bool:
        if left == right:
            return True
        pair = (min(left, right), max(left, right))
        if pair not in self.known:
            self.known[pair] = common_runs(self.pieces[left], self.pieces[right]) >= SAME_MUSIC
        return self.known[pair]

    def pairs(self, labels: NDArray[np.int64], sources: NDArray[np.int64]) -> tuple[int, int]:
        """Pairs that share a label: how many in all, and how many have sources with the same music."""
        total = pairs(sizes(labels))
        true = total
        order = np.argsort(labels, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
            found, counts = np.unique(sources[members], return_counts=True)
            for i in range(len(found)):
                for j in range(i):
                    if not self(int(found[i]), int(found[j])):
                        true -= int(counts[i] * counts[j])
        return total, true


@dataclass(frozen=True)
class KindFigures:
    """Results for edits of one kind."""

    edits: int
    recall: float
    precision: float
    least: float
    """The lowest similarity of an edit to its original, and one that 2 % are below."""
    least_2_percent: float
    bar: float | None

    @property
    def met(self) -> bool:
        return self.bar is None or (self.recall >= self.bar and self.precision >= LEAST_PRECISION)


def read(corpus: Path) -> dict[str, Notes]:
    """The readable pieces of a folder by their path in it."""
    pieces: dict[str, Notes] = {}
    for path in sorted(corpus.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            try:
                pieces[path.relative_to(corpus).as_posix()] = read_midi(path.read_bytes())
            except MidiError:
                continue
    return pieces


def fingerprints(pieces: Iterable[Notes]) -> NDArray[np.uint32]:
    return np.stack([fingerprint(notes) for notes in pieces])


def pairs(counts: NDArray[np.int64]) -> int:
    """Pairs within groups of these sizes."""
    return int((counts * (counts - 1) // 2).sum())


def sizes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(labels, return_counts=True)[1]


def sample(paths: list[str], pieces: int, generator: np.random.Generator) -> list[str]:
    """Paths in turn from each top folder, at random within it."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[path.split("/")[0]].append(path)
    queues = [[members[i] for i in generator.permutation(len(members))] for members in folders.values()]
    turns = (path for turn in zip_longest(*queues) for path in turn if path is not None)
    return list(islice(turns, pieces))


def measure_kind(
    edit: Edit, bar: float | None, marks: NDArray[np.uint32], judge: Judge, threshold: float, seed: int
) -> KindFigures:
    originals = judge.pieces
    edits = fingerprints(edit(notes, np.random.default_rng([seed, i])) for i, notes in enumerate(originals))
    n = len(originals)
    label = find_families(np.concatenate([marks, edits]), threshold).label
    together = label[:n] == label[n:]
    alike = similarity(marks, edits)
    total, true = judge.pairs(label, np.tile(np.arange(n), 2))
    return KindFigures(
        edits=n,
        recall=float(together.mean()),
        precision=true / max(total, 1),
        least=float(alike.min()),
        least_2_percent=float(np.quantile(alike, 0.02)),
        bar=bar,
    )


def versions(paths: list[str], label: NDArray[np.int64]) -> dict[str, tuple[int, int]]:
    """For each top folder the declared pairs of versions of one work: how many share a family, of how many."""
    works: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        work = work_of(path)
        if work is not None:
            works[work].append(index)
    counted: dict[str, tuple[int, int]] = {}
    for members in works.values():
        if len(members) > 1:
            folder = paths[members[0]].split("/")[0]
            found, all_ = counted.get(folder, (0, 0))
            counted[folder] = (found + pairs(sizes(label[members])), all_ + pairs(np.array([len(members)])))
    return counted


def chance(judge: Judge, paths: list[str], seed: int, draws: int = 2000) -> float:
    """Return the share of random pairs of one folder (a composer, a collection) that have the same music."""
    generator = np.random.default_rng(seed)
    folders: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        folders["/".join(path.split("/")[:2])].append(index)
    several = [members for members in folders.values() if len(members) > 1]
    drawn = [generator.choice(several[generator.integers(len(several))], 2, replace=False) for _ in range(draws)]
    return sum(judge(int(left), int(right)) for left, right in drawn) / draws


def other_pairs(labels: NDArray[np.int64], judge: Judge) -> list[tuple[int, int]]:
    """Pairs that share a label, but not their music."""
    families: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels.tolist()):
        families[label].append(index)
    return [pair for members in families.values() for pair in combinations(members, 2) if not judge(*pair)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="a folder of MIDI files")
    parser.add_argument("--pieces", type=int, default=400, help="pieces to edit")
    parser.add_argument("--threshold", type=float, default=DEFAULT_THRESHOLD)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()

    pieces = read(arguments.corpus)
    paths = list(pieces)
    fingerprint(pieces[paths[0]])  # compiled code is loaded or made
    start = time.perf_counter()
    marks = fingerprints(pieces.values())
    made = time.perf_counter() - start
    start = time.perf_counter()
    everything = find_families(marks, arguments.threshold)
    found = time.perf_counter() - start
    notes = sum(map(len, pieces.values()))
    print(f"{len(paths):,} pieces, {notes:,} notes; fingerprints {made:.2f} s, families {found:.3f} s")

    first_of_work: dict[str, int] = {}
    for index, path in enumerate(paths):
        work = work_of(path)
        if work is not None:
            first_of_work.setdefault(work, index)
    distinct = sorted(first_of_work.values())
    drawn = sample([paths[i] for i in distinct], arguments.pieces, np.random.default_rng(arguments.seed))
    judge = Judge([pieces[path] for path in drawn])
    drawn_marks = fingerprints(judge.pieces)
    figures: dict[str, KindFigures] = {}
    print(f"\n{'edits of ' + str(len(drawn)) + ' pieces':32}{'recall':>8}{'precision':>11}{'least':>8}{'2 %':>7}  bar")
    for kind, (edit, bar) in KINDS.items():
        kind_figures = measure_kind(edit, bar, drawn_marks, judge, arguments.threshold, arguments.seed)
        figures[kind] = kind_figures
        verdict = "" if bar is None else f"≥ {bar} {'met' if kind_figures.met else 'MISSED'}"
        print(
            f"{kind:32}{kind_figures.recall:8.4f}{kind_figures.precision:11.4f}"
            f"{kind_figures.least:8.3f}{kind_figures.least_2_percent:7.3f}  {verdict}"
        )

    alone = find_families(marks[distinct], arguments.threshold)
    judge_all = Judge([pieces[paths[i]] for i in distinct])
    joined, same = judge_all.pairs(alone.label, np.arange(len(distinct)))
    random_pairs = chance(judge_all, [paths[i] for i in distinct], arguments.seed)
    print(f"\nof {len(distinct):,} works by name, {joined} pairs are in one family; {same} of them have the same music")
    print(f"(as have {random_pairs:.1%} of random pairs of one folder); the others:")
    for left, right in other_pairs(alone.label, judge_all):
        alike = float(similarity(marks[distinct[left]], marks[distinct[right]]))
        print(f"  {alike:.2f}  {paths[distinct[left]]}  |  {paths[distinct[right]]}")
    declared = versions(paths, everything.label)
    print("\ndeclared versions of one work found (information):")
    for folder, (together, all_) in declared.items():
        print(f"  {folder:20}{together:5} of {all_:5} pairs  {together / all_:.2f}")
    if arguments.json:
        content = {
            "threshold": arguments.threshold,
            "pieces": len(paths),
            "fingerprint seconds": made,
            "kinds": {kind: asdict(kind_figures) for kind, kind_figures in figures.items()},
            "works": len(distinct),
            "pairs of works in one family": joined,
            "with the same music": same,
            "random pairs with the same music": random_pairs,
            "versions": declared,
        }
        arguments.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    sys.exit(not all(kind_figures.met for kind_figures in figures.values()))


if __name__ == "__main__":
    main()
