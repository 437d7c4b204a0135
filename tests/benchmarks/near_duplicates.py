"""Recall and precision of families and duplicates on real pieces, kind by kind.

    python tests/benchmarks/near_duplicates.py --corpus DIR [--pieces N] [--json FILE]

Edits: of a seeded sample of pieces, even over collections; every kind makes one edit of each. Each is to be in the
family of its original, and one after which all notes are there is to be dropped as its duplicate.

Relatives: generated of the same corpus (second transcriptions, excerpts, melodies alone), and real ones, by the naming
of the collections (`work_of`): they are to be in one family.

Unrelated: pieces that share a template (chords, scales, drum loops), the bass part, or the composer; no two are to be
in one family. Pairs of one folder that are may have the same music under other names: those that have it, note by note
(`is_same_music`), count for neither; the others count as wrong, and are listed to be looked at.

All are deduplicated together with the corpus, so that what is common is known to be. Exit status 1 when a bar is
missed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from itertools import combinations, islice, zip_longest
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl
from numpy.typing import NDArray
from variations import (
    BASSES,
    Edit,
    chord_progressions,
    cut,
    drum_loops,
    excerpt,
    in_turn,
    melody,
    quantised,
    retimed,
    revoiced,
    scales,
    shuffled,
    split,
    thinned,
    transcribed,
    transposed,
    with_bass_of,
)

from flows.ingestion.dedup.equal_music import Duplicates
from flows.ingestion.dedup.families import Families, find_families
from flows.ingestion.dedup.links import Rules
from flows.ingestion.dedup.sketches import Sketches
from tokenization.fingerprint import fingerprint
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import Notes

SUFFIXES = {".mid", ".midi"}
EXACT, LOSSY, TRANSCRIPTIONS, EXCERPTS, MELODIES = 0.99, 0.95, 0.95, 0.95, 0.9
"""Least recall: pairs in one family."""
DROPPED = 0.98
"""Least share of exact edits that are dropped: at another tempo notes may count as together that did not."""
LEAST_PRECISION = 0.995
"""Of all pairs found the share that is related."""
MOST_TOGETHER = 0.01
"""Of pairs of one kind that share a pattern only, the share in one family."""
PIANO_NOTES = 500
"""Notes from which a piano piece stands for a recording that is transcribed twice."""

RUN = 6
"""Intervals in a run that two pieces may have in common."""
CHORD_SECONDS = 0.05
SAME_MUSIC = 0.2
"""The share of common runs from which two pieces have the same music."""
LONG_RUN = 12
"""Intervals of the top line that are a passage in common."""

EDITS: dict[str, tuple[Edit, bool]] = {
    "transpose ±6": (transposed, True),
    "tempo ±15 %": (retimed, True),
    "velocity ±20": (revoiced, True),
    "tracks shuffled": (shuffled, True),
    "tracks split, through a file": (split, True),
    "transpose + tempo + velocity": (in_turn(transposed, retimed, revoiced), True),
    "quantise 1/16": (quantised, False),
    "cut 10 % at the start": (lambda notes, _: cut(notes, True), False),
    "cut 10 % at the end": (lambda notes, _: cut(notes, False), False),
    "5 % of the notes dropped": (thinned, False),
    "transpose + quantise + drop": (in_turn(transposed, quantised, thinned), False),
    "tempo + cut + drop": (in_turn(retimed, lambda notes, _: cut(notes, True), thinned), False),
}
"""Edits, and True for those after which every note is still there."""

Pair = tuple[int, int]


def work_of(path: str) -> str | None:
    """The work that a file is a version of, by the naming of its collection; None for what does not say.

    POP909: a song's folder. Performances of a score: the piece's folder, with or without repeats. Nottingham: a tune's
    name, melody alone or with chords. PiJAMA: album and title, whichever transcription. Mutopia: the name without
    paper format; the canons on one bass (BWV 1087) and the variations on one minuet (Quantz) are a work each. GiantMIDI
    names its three versions of a piece differently, and the Chilean songs are in files for each part: their works are
    unknown.
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
            name = re.sub(r"(-let|-letter|-a4|-lys|-midi|~\d+)+$", "", stem)
            if "bwv-1087" in name or parts[1] == "Quantz_JJ":
                name = "variations"
            return f"{parts[0]}/{parts[1]}/{name}"
        case "latin":
            return None
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


def is_same_music(left: Notes, right: Notes) -> bool:
    """Judge by the notes alone whether two pieces have the same music, or a passage of LONG_RUN intervals in common."""
    shorter, longer = sorted((interval_runs(left), interval_runs(right)), key=len)
    if len(shorter) and np.isin(shorter, longer).mean() >= SAME_MUSIC:
        return True
    shorter, longer = sorted((top_runs(left), top_runs(right)), key=len)
    return len(shorter) > 0 and bool(np.isin(shorter, longer).any())


def top_runs(notes: Notes) -> NDArray[np.int64]:
    """Return every run of LONG_RUN intervals between the highest notes of chords as a number."""
    pitched = ~notes.drum if not notes.drum.all() else notes.drum
    onset, pitch = notes.onset[pitched], notes.pitch[pitched].astype(np.int64)
    chord = np.cumsum(np.diff(onset, prepend=onset[0]) > CHORD_SECONDS)
    top = np.zeros(chord[-1] + 1, np.int64)
    np.maximum.at(top, chord, pitch)
    steps = np.diff(top)
    steps = steps[steps != 0]
    if len(steps) < LONG_RUN:
        return np.zeros(0, np.int64)
    factors = np.random.default_rng(0).integers(1, 2**62, LONG_RUN)  # a hash: equal for equal runs
    return np.lib.stride_tricks.sliding_window_view(steps, LONG_RUN) @ factors


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


def sample(paths: list[str], pieces: int, generator: np.random.Generator) -> list[str]:
    """Paths in turn from each top folder, at random within it."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[path.split("/")[0]].append(path)
    queues = [[members[i] for i in generator.permutation(len(members))] for members in folders.values()]
    turns = (path for turn in zip_longest(*queues) for path in turn if path is not None)
    return list(islice(turns, pieces))


@dataclass(frozen=True)
class Row:
    """The result of one kind of pairs."""

    kind: str
    pairs: int
    together: float
    """Share of the pairs in one family."""
    dropped: float
    """Share of the pairs of which one is dropped as a duplicate of the other, or both of a third."""
    bar: str = ""
    met: bool = True


def deduplicated(prints: list[bytes]) -> Families:
    """Find the families of fingerprints, the first preferred."""
    defaults = Duplicates()
    sketches = Sketches.of(pl.Series(prints, dtype=pl.Binary))
    return find_families(sketches, np.arange(len(prints)), Rules(defaults.related_from, defaults.duplicate_from))


class Corpus:
    """The pieces of a folder with their fingerprints, to which variations are added."""

    def __init__(self, pieces: dict[str, Notes]) -> None:
        self.paths, self.pieces = [*pieces], [*pieces.values()]
        self.prints = [fingerprint(notes).tobytes() for notes in self.pieces]

    def families(self, more: list[Notes]) -> Families:
        """Deduplicate the corpus together with more pieces."""
        return deduplicated([*self.prints, *(fingerprint(notes).tobytes() for notes in more)])


def row(kind: str, found: Families, pairs: list[Pair]) -> Row:
    together = [found.best[left] == found.best[right] for left, right in pairs]
    dropped = [found.kept[left] == found.kept[right] for left, right in pairs]
    return Row(kind, len(pairs), float(np.mean(together)), float(np.mean(dropped)))


def with_bar(result: Row, together: float, dropped: float = 0.0) -> Row:
    met = result.together >= together and result.dropped >= dropped
    return replace(result, bar=f"≥ {together}" + (f", {dropped}" if dropped else ""), met=met)


def edits(corpus: Corpus, chosen: list[int], seed: int) -> list[Row]:
    rows = []
    for kind, (edit, is_exact) in EDITS.items():
        made = [edit(corpus.pieces[i], np.random.default_rng([seed, i])) for i in chosen]
        start = len(corpus.pieces)
        result = row(kind, corpus.families(made), [(i, start + k) for k, i in enumerate(chosen)])
        rows.append(with_bar(result, EXACT, DROPPED) if is_exact else with_bar(result, LOSSY))
    return rows


def relatives(corpus: Corpus, chosen: list[int], seed: int) -> tuple[list[Row], int]:
    """Measure generated relatives; returns also the number of pairs found."""
    generator = np.random.default_rng(seed)
    made: list[Notes] = []
    kinds: dict[str, list[Pair]] = {"second transcription": [], "excerpt of 20 %": [], "melody alone": []}
    start = len(corpus.pieces)

    def add(notes: Notes) -> int:
        made.append(notes)
        return start + len(made) - 1

    for i in generator.permutation(start).tolist():
        notes, pairs = corpus.pieces[i], kinds["second transcription"]
        is_piano = not notes.drum.any() and (notes.program < 8).all()
        if is_piano and len(notes) >= PIANO_NOTES and len(pairs) < len(chosen):
            pairs.append((add(transcribed(notes, generator)), add(transcribed(notes, generator))))
    for i in chosen:
        if len(corpus.pieces[i]) >= 200:
            kinds["excerpt of 20 %"].append((i, add(excerpt(corpus.pieces[i], generator))))
    for i, notes in enumerate(corpus.pieces):
        alone = melody(notes) if len(kinds["melody alone"]) < len(chosen) else None
        if alone is not None:
            kinds["melody alone"].append((i, add(alone)))
    found = corpus.families(made)
    bars = (TRANSCRIPTIONS, EXCERPTS, MELODIES)
    rows = [
        with_bar(row(kind, found, pairs), bar) for (kind, pairs), bar in zip(kinds.items(), bars, strict=True) if pairs
    ]
    return rows, sum(round(result.together * result.pairs) for result in rows)


def versions(corpus: Corpus, found: Families) -> tuple[list[Row], int]:
    """Measure the relatives that the collections' names declare; returns also the number of pairs found."""
    works: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(corpus.paths):
        work = work_of(path)
        if work is not None:
            works[work].append(index)
    by_folder: dict[str, list[Pair]] = defaultdict(list)
    for members in works.values():
        for pair in combinations(members, 2):
            by_folder[corpus.paths[pair[0]].split("/")[0]].append(pair)
    bars = {"jazz_piano": TRANSCRIPTIONS, "folk": MELODIES}
    rows = []
    for folder, pairs in by_folder.items():
        result = row(f"real: {folder}", found, pairs)
        rows.append(with_bar(result, bars[folder]) if folder in bars else result)
    return rows, sum(round(result.together * result.pairs) for result in rows)


def unrelated(corpus: Corpus, found: Families, seed: int) -> tuple[list[Row], list[tuple[str, str]], int]:
    """Measure pairs that share a pattern only; returns also those of one folder to look at, and pairs found."""
    generator = np.random.default_rng(seed)
    start = len(corpus.pieces)
    templates = {
        "chord template": chord_progressions(100, generator),
        "scales": scales(100, generator),
        "drum loops": drum_loops(100, generator),
    }
    has_bass = [i for i, notes in enumerate(corpus.pieces) if (np.isin(notes.program, BASSES) & ~notes.drum).sum() > 40]
    order = generator.permutation(has_bass).tolist()
    half = len(order) // 2
    basses = [(i, with_bass_of(corpus.pieces[j], corpus.pieces[i])) for i, j in zip(order[:half], order[half:])]
    made = [notes for pieces in templates.values() for notes in pieces] + [notes for _, notes in basses]
    with_templates = corpus.families(made)
    rows, wrong = [], 0
    kinds: dict[str, list[Pair]] = {}
    for kind, pieces in templates.items():
        kinds[kind] = list(combinations(range(start, start + len(pieces)), 2))
        start += len(pieces)
    if basses:
        kinds["bass part in common"] = [(i, start + k) for k, (i, _) in enumerate(basses)]
    for kind, pairs in kinds.items():
        result = row(kind, with_templates, pairs)
        wrong += round(result.together * result.pairs)
        rows.append(_apart(result))
    pairs, listed, same = _of_one_folder(corpus, found)
    wrong += len(listed)
    rows.append(_apart(Row("other work of the folder", pairs - same, len(listed) / max(pairs - same, 1), 0.0)))
    return rows, listed, wrong


def _apart(result: Row) -> Row:
    return replace(result, bar=f"≤ {MOST_TOGETHER}", met=result.together <= MOST_TOGETHER)


def _of_one_folder(corpus: Corpus, found: Families) -> tuple[int, list[tuple[str, str]], int]:
    """Return the number of pairs of different works of one folder, those in one family, and those with equal music."""
    folders: dict[str, dict[str, int]] = defaultdict(dict)
    for index, path in enumerate(corpus.paths):
        work = work_of(path)
        if work is not None:
            folders["/".join(path.split("/")[:2])].setdefault(work, index)
    pairs = same = 0
    listed = []
    for works in folders.values():
        pairs += len(works) * (len(works) - 1) // 2
        families: dict[int, list[int]] = defaultdict(list)
        for index in works.values():
            families[int(found.best[index])].append(index)
        for members in families.values():
            for left, right in combinations(members, 2):
                if is_same_music(corpus.pieces[left], corpus.pieces[right]):
                    same += 1
                else:
                    listed.append((corpus.paths[left], corpus.paths[right]))
    return pairs, listed, same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="a folder of MIDI files")
    parser.add_argument("--pieces", type=int, default=400, help="pieces to edit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()

    corpus = Corpus(read(arguments.corpus))
    start = time.process_time()
    for notes in corpus.pieces:
        fingerprint(notes)
    made = time.process_time() - start
    deduplicated(corpus.prints[:100])  # compiled code is loaded or made
    start = time.process_time()
    found = deduplicated(corpus.prints)
    seconds = time.process_time() - start
    print(
        f"{len(corpus.pieces):,} pieces: fingerprints {made / len(corpus.pieces) * 1e3:.3f} ms each, "
        f"families {seconds:.2f} s (CPU time)"
    )
    number = {path: index for index, path in enumerate(corpus.paths)}
    drawn = sample([*number], arguments.pieces, np.random.default_rng(arguments.seed))
    chosen = [number[path] for path in drawn if len(corpus.pieces[number[path]]) >= 30]
    rows = edits(corpus, chosen, arguments.seed)
    generated, right = relatives(corpus, chosen, arguments.seed)
    real, right_too = versions(corpus, found)
    apart, listed, wrong = unrelated(corpus, found, arguments.seed)
    rows += [*generated, *real, *apart]
    precision = (right + right_too) / max(right + right_too + wrong, 1)
    print(f"\n{'':32}{'pairs':>9}{'together':>10}{'dropped':>9}  bar")
    for each in rows:
        verdict = "" if not each.bar else f"{each.bar} {'met' if each.met else 'MISSED'}"
        print(f"{each.kind:32}{each.pairs:9,}{each.together:10.4f}{each.dropped:9.4f}  {verdict}")
    print(f"\nprecision: {precision:.4f} of all pairs found are related (bar {LEAST_PRECISION})")
    if listed:
        print("pairs of one folder in one family that have no equal passage:")
    for left, right_path in listed:
        print(f"  {left}  |  {right_path}")
    if arguments.json:
        content = {
            "pieces": len(corpus.pieces),
            "fingerprint ms": made / len(corpus.pieces) * 1e3,
            "families CPU s": seconds,
            "kinds": [asdict(each) for each in rows],
            "precision": precision,
            "to look at": listed,
        }
        arguments.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    sys.exit(not (all(each.met for each in rows) and precision >= LEAST_PRECISION))


if __name__ == "__main__":
    main()
