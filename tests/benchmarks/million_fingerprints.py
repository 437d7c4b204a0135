"""A million synthetic fingerprints through indexing, verification and families: seconds, memory, precision, recall.

    python tests/benchmarks/million_fingerprints.py [--pieces N] [--json FILE]

The fingerprints are as large and as uneven as real ones: one to three voices, and in each voice up to six in ten of its
features from a stock of phrases that many pieces share, in some pieces more than in others. Families of many sizes are
planted, one of them of 50,000 pieces with the same features; the others keep 60–100 % of their origin's features, in
another key and at another tempo. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from flows.ingestion.dedup.equal_music import Duplicates
from flows.ingestion.dedup.families import Families, find_families
from flows.ingestion.dedup.links import Rules
from flows.ingestion.dedup.sketches import MOST_ENTRIES, Sketches

PLANTED = {2: 20_000, 3: 10_000, 5: 4_000, 10: 1_000, 100: 50, 1_000: 5, 10_000: 1}
"""Number of families by size, for a million pieces."""
EQUAL = 50_000
"""Pieces with the same features, for a million."""
SIZES = np.array([128, 64, 64])
"""Entries of the first, second and third voice; a quarter of the pieces has twice as many in the first."""
DENSE = 0.25
VOICES = (0.6, 0.3, 0.1)
"""Shares of pieces with one, two and three voices."""
STOCK = 200_000
"""Common phrases; the k-th is 1/k as frequent as the first."""
RATE = 0.03
"""Share of all hashes that a sketch keeps."""
BLOCK = 20_000

MOST_SECONDS = 60.0
MOST_GIB = 4.0
LEAST = 0.99
"""Least recall and precision of pairs."""


def voice(n: int, size: int, generator: np.random.Generator, stock: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return entries of n voices of different music, sorted, shape (n, size)."""
    limit = int(RATE * 2**32)
    hashes = generator.integers(0, limit, (n, size), dtype=np.uint64)
    share = 0.6 * generator.random((n, 1)) ** 2
    common = generator.random((n, size)) < share
    which = np.exp(generator.random((n, size)) * np.log(STOCK)).astype(np.int64) - 1  # Zipf's law
    hashes = np.where(common, stock[which], hashes)
    begins = generator.integers(0, 2**16, (n, size), dtype=np.uint64)
    lengths = generator.integers(100, 140, (n, size), dtype=np.uint64)
    pitches = generator.integers(55, 80, (n, size), dtype=np.uint64)
    return np.sort(hashes << 32 | begins << 16 | lengths << 7 | pitches, axis=1)


def version(entries: NDArray[np.uint64], n: int, generator: np.random.Generator) -> NDArray[np.uint64]:
    """Return n versions of a voice of shape (size,): most features, other ones for the rest, another key and tempo."""
    size = len(entries)
    kept = generator.random((n, size)) < generator.uniform(0.6, 1, (n, 1))
    moved = entries + generator.integers(-6, 7, (n, 1)).astype(np.uint64) + (np.uint64(8) << np.uint64(7))
    other = generator.integers(0, int(RATE * 2**32), (n, size), dtype=np.uint64) << 32
    other |= generator.integers(0, 2**32, (n, size), dtype=np.uint64)
    return np.sort(np.where(kept, moved, other), axis=1)


def planted(pieces: int, seed: int) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return `pieces` fingerprints in random order, and the number of each one's family; −1 for a piece alone."""
    generator = np.random.default_rng(seed)
    stock = generator.integers(0, int(RATE * 2**32), STOCK, dtype=np.uint64)
    scale = pieces / 1_000_000
    sizes = [max(round(EQUAL * scale), 2)]
    for size, count in PLANTED.items():
        sizes += [size] * round(count * scale)
    family = np.full(pieces, -1, np.int64)
    family[: sum(sizes)] = np.repeat(np.arange(len(sizes)), sizes)
    # Groups of pieces with the same numbers of voices and entries: all members of a family are in one
    groups = np.where(family < 0, np.arange(pieces), family)
    voices = np.random.default_rng(seed + 1).choice(3, pieces, p=VOICES)[groups] + 1
    dense = np.random.default_rng(seed + 2).random(pieces)[groups] < DENSE
    entries = SIZES.cumsum()[voices - 1] + SIZES[0] * dense
    starts = np.concatenate([[0], np.cumsum(1 + voices + entries)])
    words = np.empty(starts[-1], np.uint64)
    unit = np.uint64(np.array([0.003], np.float32).view(np.uint32)[0]) << np.uint64(32)
    origins: dict[tuple[int, int], NDArray[np.uint64]] = {}
    for kind in np.unique(voices * 2 + dense).tolist():
        count, is_dense = divmod(kind, 2)
        members = np.flatnonzero((voices == count) & (dense == bool(is_dense)))
        lengths = SIZES[:count] + np.array([SIZES[0] * is_dense, 0, 0])[:count]
        for begin in range(0, len(members), BLOCK):
            block = members[begin : begin + BLOCK]
            words[starts[block]] = np.uint64(count) | np.uint64(400) << np.uint64(32)
            place = 1 + count
            for number, size in enumerate(lengths.tolist()):
                words[starts[block] + 1 + number] = np.uint64(size) | np.uint64(400) << np.uint64(16) | unit
                found = voice(len(block), size, generator, stock)
                labels = family[block]
                for label in np.unique(labels[labels >= 0]).tolist():
                    own = np.flatnonzero(labels == label)
                    origin = origins.setdefault((label, number), found[own[0]])
                    found[own] = origin if label == 0 else version(origin, len(own), generator)
                words[(starts[block] + place)[:, None] + np.arange(size)] = found
                place += size
    order = generator.permutation(pieces)
    return shuffled(words, starts, order), family[order]


def shuffled(words: NDArray[np.uint64], starts: NDArray[np.int64], order: NDArray[np.int64]) -> pl.Series:
    """Return the fingerprints in another order, as the binary column that the store has."""
    sizes = np.diff(starts)[order]
    ends = np.cumsum(sizes)
    source = np.arange(ends[-1]) + np.repeat(starts[order] - (ends - sizes), sizes)
    return column_of(words[source], np.concatenate([[0], ends]))


def column_of(words: NDArray[np.uint64], starts: NDArray[np.int64]) -> pl.Series:
    """Return words as the binary column that the store has; `starts`: the first of each row, and their number."""
    buffers = [None, pa.py_buffer(starts * 8), pa.py_buffer(words)]
    return pl.Series(pl.from_arrow(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts) - 1, buffers)))


def make(path: Path, pieces: int, seed: int) -> None:
    """Write fingerprints and their families."""
    fingerprints, family = planted(pieces, seed)
    table = pl.DataFrame({"fingerprint": fingerprints, "family": family})
    table.write_parquet(path, compression="uncompressed", statistics=False)


def pairs(counts: NDArray[np.int64]) -> int:
    """Return the number of pairs within groups of these sizes."""
    return int((counts * (counts - 1) // 2).sum())


def families(fingerprints: pl.Series) -> Families:
    defaults = Duplicates()
    rules = Rules(defaults.related_from, defaults.duplicate_from)
    return find_families(Sketches.of(fingerprints, MOST_ENTRIES), np.arange(len(fingerprints)), rules)


def measure(pieces: int, seed: int) -> dict[str, float]:
    families(planted(1000, seed)[0])  # compiled code is loaded or made
    with tempfile.TemporaryDirectory() as folder:  # making them takes more memory than what is measured
        path = Path(folder) / "fingerprints.parquet"
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(path, pieces, seed))
        maker.start()
        maker.join()
        table = pl.read_parquet(path)
    fingerprints, family = table["fingerprint"], table["family"].to_numpy()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    found = families(fingerprints)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    apart = np.where(family < 0, np.arange(pieces) + pieces, family)
    both = np.unique(apart * np.int64(4 * pieces) + found.best, return_counts=True)[1]
    joined, true = np.unique(found.best, return_counts=True)[1], np.unique(apart, return_counts=True)[1]
    return {
        "pieces": pieces,
        "bytes of fingerprints, each": fingerprints.estimated_size() / pieces,
        "planted families": int((true > 1).sum()),
        "found families": int((joined > 1).sum()),
        "seconds": seconds,
        "CPU seconds": cpu,
        "GiB before (fingerprints as they are read)": before / 2**20,
        "GiB at the peak": after / 2**20,
        "pairs found (recall)": pairs(both) / pairs(true),
        "pairs true (precision)": pairs(both) / pairs(joined),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    figures = measure(arguments.pieces, arguments.seed)
    for name, figure in figures.items():
        print(f"{name:45} {figure:>14,.0f}" if float(figure).is_integer() else f"{name:45} {figure:>14.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    met = figures["seconds"] <= MOST_SECONDS and figures["GiB at the peak"] <= MOST_GIB
    met &= min(figures["pairs found (recall)"], figures["pairs true (precision)"]) >= LEAST
    print(
        f"at most {MOST_SECONDS:.0f} s and {MOST_GIB:.0f} GiB, recall and precision at least {LEAST}: "
        f"{'met' if met else 'MISSED'}"
    )
    sys.exit(not met)


if __name__ == "__main__":
    main()
