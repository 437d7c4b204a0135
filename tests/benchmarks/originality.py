"""Originality on real music: planted copies that are found, false alarms, time and size of an index.

    python tests/benchmarks/originality.py --corpus DIR [--lake DIR] [--planted N] [--real N] [--pieces N] [--json FILE]

The corpus is ingested (into a temporary lake unless one is given). Planted are spans of one voice, 16 to 64 notes from
anywhere in a training piece, in another key and up to a third faster or slower, in place of the notes of the same
instrument of another piece; the result goes through the encoding. Spans in which every gram is a commonplace (scales,
trills, repeated notes) are counted, but not planted. A plant is found when the check names its place and length, and
counts as a copy when the check does not take it for a commonplace. Real pieces are training pieces checked against
those of other families, and against those by others besides (another folder of the second level: composers and
collections): a copy of 16 notes or more is an alarm. The index of many pieces is made of shuffled phrases of the
corpus. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

import musenet
from infra.lake import Lake
from tokenization.dataset import TRAIN, DatasetVersion, TokenFormat, find_version, read_shard, token_arrays
from tokenization.encodings import Encoding
from tokenization.midi.notes import Notes
from tokenization.originality import Copy, OriginalityIndex, write_index
from tokenization.originality.grams import COMMON, grams
from tokenization.originality.lines import lines_of

NAME = "originality"
LEAST_NOTES = 16
MOST_NOTES = 64
STRETCH = 4 / 3
SEMITONES = 6
LONGEST_REST = 30.0
"""Seconds from one note of a span to the next: the music on either side of a longer silence is two spans."""
PHRASE = 4.0
"""Seconds of the phrases that pieces of the large index are shuffled from."""
SHARD = 500
SAMPLE = 1024
"""Tokens of the samples whose check is timed."""
TIMED = 40

MOST_SECONDS = 0.5
MOST_ALARMS = 0.01


class Piece(NamedTuple):
    """A training piece as the encoding represents it."""

    sha256: str
    family: str
    notes: Notes


class Plant(NamedTuple):
    """A piece with a copy in it, and where."""

    notes: Notes
    source: Piece
    begin: float
    end: float
    length: int


def training_pieces(version: DatasetVersion) -> list[Piece]:
    encoding = version.encoding
    pieces: list[Piece] = []
    for path in version.shards(TRAIN):
        table = read_shard(version.path / path, TokenFormat.of(encoding), ["piece_id", "family", "tokens"])
        labels = zip(table["piece_id"].to_pylist(), table["family"].to_pylist(), token_arrays(table))
        pieces += [Piece(sha256, family, encoding.decode(tokens)) for sha256, family, tokens in labels]
    return pieces


def chosen(notes: Notes, which: NDArray[np.bool_] | NDArray[np.int64]) -> tuple[NDArray[np.generic], ...]:
    return tuple(getattr(notes, name)[which] for name in ("onset", "duration", "pitch", "velocity", "program", "drum"))


def planted(
    pieces: list[Piece], encoding: Encoding, generator: np.random.Generator, commonplaces: list[int]
) -> Iterator[Plant]:
    """Yield plants without end: a voice is a top line, or a part without chords. `commonplaces` takes what is not."""
    while True:
        source, host = (pieces[i] for i in generator.integers(0, len(pieces), 2))
        if source.family == host.family or len(host.notes) < 2 * MOST_NOTES:
            continue
        lines = lines_of(source.notes)
        line = generator.integers(0, len(lines.first) - 1) if len(lines.first) > 1 else 0
        begin, end = lines.first[[line, line + 1]] if len(lines.first) > 1 else (0, 0)
        length = int(generator.integers(LEAST_NOTES, MOST_NOTES + 1))
        if end - begin < length or (np.diff(lines.onset[begin:end]) <= 0).any():
            continue
        first = int(generator.integers(begin, end - length + 1))
        if np.diff(lines.onset[first : first + length]).max() > LONGEST_REST:
            continue
        if (grams(lines.pitch[first : first + length]) == COMMON).all():
            commonplaces.append(first)
            continue
        onset, duration, pitch, *rest = chosen(source.notes, lines.note[first : first + length])
        pitch = pitch.astype(np.int64) + generator.integers(-SEMITONES, SEMITONES + 1)
        if pitch.min() < 0 or pitch.max() > 127:
            continue
        stretch = STRETCH ** generator.uniform(-1, 1)
        onset = (onset - onset[0]) * stretch + generator.uniform(0, host.notes.seconds)
        own = (host.notes.program == rest[1][0]) & ~host.notes.drum
        others = ~own | (host.notes.onset < onset[0] - 1) | (host.notes.onset > onset[-1] + 1)
        columns = zip(chosen(host.notes, others), (onset, duration * stretch, pitch, *rest))
        mixed = Notes.from_columns(*(np.concatenate(pair) for pair in columns), host.notes.tempo)
        notes = encoding.quantised(mixed)
        shift = notes.onset[0] - mixed.onset[0]
        yield Plant(notes, source, onset[0] + shift, onset[-1] + shift, length)


def names(copy: Copy | None, plant: Plant) -> bool:
    """True if a reported copy is the plant: at most a note is missing, of sixteen one."""
    if copy is None or copy.notes < plant.length - max(plant.length // LEAST_NOTES, 1):
        return False
    return copy.at < plant.end and copy.at + copy.seconds > plant.begin


def recall(index: OriginalityIndex, pieces: list[Piece], encoding: Encoding, count: int, seed: int) -> dict[str, float]:
    commonplaces: list[int] = []
    plants = planted(pieces, encoding, np.random.default_rng(seed), commonplaces)
    families = frozenset(piece.family for piece in pieces)
    found = counted = short = short_counted = 0
    missed = []
    for number in range(count):
        plant = next(plants)
        # The piece around it may have longer spans in common with others: only the family of the source counts.
        result = index.check(plant.notes, families - {plant.source.family})
        as_copy = names(result.copy, plant)
        is_found = as_copy or names(result.commonplace, plant)
        found += is_found
        counted += as_copy
        short += plant.length < 2 * LEAST_NOTES
        short_counted += as_copy and plant.length < 2 * LEAST_NOTES
        if not is_found:
            missed.append(f"{number}: {plant.length} notes of {plant.source.sha256[:12]}, {result}")
    for line in missed[:20]:
        print(f"  missed {line}"[:300])
    return {
        "planted copies": count,
        "spans not planted, commonplaces": len(commonplaces),
        "found": found / count,
        "counted as copies": counted / count,
        "counted, of those below 32 notes": short_counted / max(short, 1),
    }


def alarms(
    index: OriginalityIndex, pieces: list[Piece], paths: dict[str, str], count: int, seed: int
) -> dict[str, float]:
    """Check real pieces against those of other families, and against those by others."""
    folders: dict[tuple[str, ...], set[str]] = {}
    for piece in pieces:
        folders.setdefault(Path(paths[piece.sha256]).parts[:2], set()).add(piece.family)
    generator = np.random.default_rng(seed)
    figures = {"real pieces": float(min(count, len(pieces))), "alarms": 0.0, "alarms by others": 0.0}
    for number in generator.permutation(len(pieces))[:count]:
        piece = pieces[number]
        result = index.check(piece.notes, frozenset({piece.family}))
        if result.copied_notes < LEAST_NOTES:
            continue
        assert result.copy is not None
        figures["alarms"] += 1 / figures["real pieces"]
        copy = result.copy
        own = frozenset({piece.family, *folders[Path(paths[piece.sha256]).parts[:2]]})
        by_others = index.check(piece.notes, own).copied_notes >= LEAST_NOTES
        figures["alarms by others"] += by_others / figures["real pieces"]
        about = f"{copy.notes} notes, {copy.bits:.0f} bits{', by others' if by_others else ''}"
        print(f"  alarm: {about}: {paths[piece.sha256]} < {paths[copy.piece]}")
    return figures


def shuffled(notes: Notes, generator: np.random.Generator) -> Notes:
    """Return the phrases of a piece in another order and key."""
    phrase = (notes.onset // PHRASE).astype(np.int64)
    order = generator.permutation(int(phrase.max()) + 1)
    pitch = np.where(notes.drum, notes.pitch, np.clip(notes.pitch + generator.integers(-6, 6), 0, 127))
    onset = notes.onset + (order[phrase] - phrase) * PHRASE
    return Notes.from_columns(onset, notes.duration, pitch, notes.velocity, notes.program, notes.drum, notes.tempo)


def speed(pieces: list[Piece], encoding: Encoding, count: int, folder: Path, seed: int) -> dict[str, float]:
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    making = 0.0
    for shard, begin in enumerate(range(0, count, SHARD)):
        rows = []
        for number in range(begin, min(begin + SHARD, count)):
            piece = pieces[generator.integers(len(pieces))]
            rows.append((f"{number:064x}", f"{number:064x}", shuffled(piece.notes, generator)))
        start = time.process_time()
        write_index(folder / f"{shard:05d}.index", rows)
        making += time.process_time() - start
    start = time.process_time()
    index = OriginalityIndex.open(folder)
    opening = time.process_time() - start
    index.check(pieces[0].notes)
    seconds = []
    for number in generator.integers(0, len(pieces), TIMED):
        sample = encoding.decode(encoding.encode(pieces[number].notes)[:SAMPLE])
        start = time.process_time()
        index.check(sample)
        seconds.append(time.process_time() - start)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {
        "pieces of the large index": count,
        "bytes a piece": size / count,
        "CPU ms a piece to write": 1000 * making / count,
        "CPU seconds to open": opening,
        "CPU seconds of a check, mean": float(np.mean(seconds)),
        "CPU seconds of a check, longest": max(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--lake", type=Path, help="keep the dataset in this lake, and use what it has")
    parser.add_argument("--planted", type=int, default=1000)
    parser.add_argument("--real", type=int, default=1000)
    parser.add_argument("--pieces", type=int, default=100_000, help="of the large index; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lake = Lake.at(arguments.lake or temporary / "lake")
        musenet.ingest(arguments.corpus, name=NAME, lake=lake.address)
        version = find_version(lake, NAME)
        pieces, encoding = training_pieces(version), version.encoding
        paths = dict(version.manifest.filter(pl.col("sha256").is_not_null()).select("sha256", "path").iter_rows())
        index = OriginalityIndex.open(version.path / "originality")
        figures = recall(index, pieces, encoding, arguments.planted, arguments.seed)
        figures |= alarms(index, pieces, paths, arguments.real, arguments.seed)
        if arguments.pieces:
            figures |= speed(pieces, encoding, arguments.pieces, temporary / "large", arguments.seed)
            shutil.rmtree(temporary / "large")
    for name, figure in figures.items():
        print(f"{name:40} {figure:>14,.0f}" if float(figure).is_integer() else f"{name:40} {figure:>14.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    bars = {
        "all planted copies are found": figures["found"] == 1.0,
        f"alarms below {MOST_ALARMS:.0%}": figures["alarms by others"] < MOST_ALARMS,
        f"a check takes {MOST_SECONDS} s": figures.get("CPU seconds of a check, longest", 0.0) < MOST_SECONDS,
    }
    for bar, met in bars.items():
        print(f"{bar}: {'met' if met else 'MISSED'}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
