"""A million synthetic fingerprints through hashing, verification and families: seconds, memory, precision, recall.

    python tests/benchmarks/million_fingerprints.py [--pieces N] [--json FILE]

The fingerprints are as uneven as real ones: in each value a few phrases are common, in some pieces more than in
others, so that strangers meet in a bucket about as often as different real pieces do (1 pair in 10,000 per word).
Families of many sizes are planted, one of them of 50,000 equal pieces; a member keeps 70–100 % of its origin's values.
Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.families import find_families
from tokenization.fingerprint import SIZE, VALUES, values

PLANTED = {2: 20_000, 3: 10_000, 5: 4_000, 10: 1_000, 100: 50, 1_000: 5, 10_000: 1}
"""Number of families by size, for a million pieces."""
EQUAL = 50_000
"""Pieces with one and the same fingerprint, for a million."""
COMMON = 16
"""Common phrases of each value; the k-th is 1/k as frequent as the first."""
BLOCK = 50_000

MOST_SECONDS = 60.0
MOST_GIB = 4.0


def strangers(n: int, generator: np.random.Generator, common: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """n fingerprints that have nothing in common but common phrases, shape (n, SIZE)."""
    rows = np.empty((n, SIZE), np.uint32)
    weights = 1 / np.arange(1, COMMON + 1)
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        own = generator.integers(0, 2**16, (m, VALUES), dtype=np.uint16)
        share = 0.6 * generator.random((m, 1)) ** 2
        which = np.searchsorted(np.cumsum(weights / weights.sum()), generator.random((m, VALUES), np.float32))
        phrase = common[np.arange(VALUES), np.minimum(which, COMMON - 1)]
        taken = generator.random((m, VALUES), np.float32) < share
        values(rows[start : start + m])[:] = np.where(taken, phrase, own)
    return rows


def planted(pieces: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """`pieces` fingerprints in random order, and the number of each one's family; −1 for a piece alone."""
    generator = np.random.default_rng(seed)
    common = generator.integers(0, 2**16, (VALUES, COMMON), dtype=np.uint16)
    scale = pieces / 1_000_000
    sizes = [max(round(EQUAL * scale), 2)]
    for size, count in PLANTED.items():
        sizes += [size] * round(count * scale)
    rows = strangers(pieces, generator, common)
    family = np.full(pieces, -1, np.int64)
    place = generator.permutation(pieces)
    start = 0
    for number, size in enumerate(sizes):
        members = place[start : start + size]
        start += size
        family[members] = number
        origin = values(rows[members[:1]])
        if number == 0:
            rows[members] = rows[members[0]]
            continue
        for first in range(1, size, BLOCK):
            part = members[first : first + BLOCK]
            kept = generator.random((len(part), VALUES), np.float32) < generator.uniform(0.7, 1, (len(part), 1))
            rows[part] = np.where(kept, origin, values(rows[part])).view(np.uint32)
    return rows, family


def pairs(counts: NDArray[np.int64]) -> int:
    """Pairs within groups of these sizes."""
    return int((counts * (counts - 1) // 2).sum())


def measure(pieces: int, seed: int) -> dict[str, float]:
    find_families(planted(1000, seed)[0])  # compiled code is loaded or made
    rows, family = planted(pieces, seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = find_families(rows)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    apart = np.where(family < 0, np.arange(pieces) + pieces, family)
    both = np.unique(apart * np.int64(4 * pieces) + found.label, return_counts=True)[1]
    joined, true = np.unique(found.label, return_counts=True)[1], np.unique(apart, return_counts=True)[1]
    return {
        "pieces": pieces,
        "planted families": int((true > 1).sum()),
        "found families": int((joined > 1).sum()),
        "links": len(found.left),
        "seconds": seconds,
        "GiB before (fingerprints and their making)": before / 2**20,
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
    print(f"at most {MOST_SECONDS:.0f} s and {MOST_GIB:.0f} GiB: {'met' if met else 'MISSED'}")
    sys.exit(not met)


if __name__ == "__main__":
    main()
