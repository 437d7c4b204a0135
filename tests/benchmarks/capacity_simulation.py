"""Deduplication, manifest and splits of millions of made pieces, by the code of ingestion: seconds, memory, recall.

    python tests/benchmarks/capacity_simulation.py [--pieces N] [--facts DIR] [--json FILE]

The fingerprints are those of `million_fingerprints.py`, half a million at a time, with their own families each; all
other columns are drawn. Beyond five million pieces, fingerprints are those of the first ones with all hashes moved as
far, so they have as little in common with these as with others. They lie in files that are only mapped into memory, as
the cache of facts has them. What counts is the memory of the process itself: mapped pages go when others need them.
Ten million pieces need 17 GiB for these files, which take most of the time: `--facts` keeps them for a further run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from million_fingerprints import RATE, column_of, pairs, planted
from numpy.typing import NDArray

from flows.ingestion.dedup.build_manifest import build_manifest
from flows.ingestion.dedup.equal_music import Duplicates
from flows.ingestion.dedup.quarantine import Limits
from flows.ingestion.dedup.sketches import MOST, _words
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.parsing.facts_cache import mapped
from tokenization.compiled import compiled
from tokenization.dataset.manifest import read_manifest, write_manifest

CHUNK = 500_000
DRAWN = 10 * CHUNK
"""Pieces whose fingerprints are drawn, which takes long; further ones have theirs with other hashes."""
STYLES = 40
SAMPLE_SECONDS = 0.1
STEP = 0.618
"""Share of all hashes that further pieces' are moved by."""


def make(path: Path, first: int, pieces: int) -> None:
    """Write the facts of some pieces, and the numbers of their families; −1 for a piece alone."""
    if first < DRAWN:
        fingerprints, family = planted(pieces, first)
    else:
        earlier = mapped(path.with_name(file_name(first % DRAWN, CHUNK))).head(pieces)
        fingerprints = moved(earlier["fingerprint"], first // DRAWN)
        family = earlier["planted"].to_numpy() - first % DRAWN
    draw = np.random.default_rng(first)
    numbers = np.arange(first, first + pieces)
    facts = pl.DataFrame(
        {
            "sha256": names(numbers),
            "note_hash": names(numbers, salt=1),
            "fingerprint": fingerprints,
            "refusal": pl.Series([None] * pieces, dtype=pl.String),
            "detail": pl.Series([None] * pieces, dtype=pl.String),
            "notes": draw.integers(100, 4000, pieces),
            "seconds": draw.uniform(60, 300, pieces),
            "tempo": draw.uniform(60, 160, pieces),
            "programs": pl.Series([[0, 32]] * pieces, dtype=pl.List(pl.UInt8)),
            "drums": draw.random(pieces) < 0.3,
            "repairs": pl.Series([[]] * pieces, dtype=pl.List(pl.String)),
            "planted": np.where(family < 0, -1, family + first),
        }
    )
    unfinished = path.with_suffix(".unfinished")
    facts.write_ipc(unfinished, compression="uncompressed")
    unfinished.rename(path)


def file_name(first: int, pieces: int) -> str:
    return f"{first}-{pieces}.arrow"


def moved(fingerprints: pl.Series, times: int) -> pl.Series:
    """Return fingerprints whose hashes are moved, so many times, round the numbers that there are."""
    words, offsets = _words(fingerprints)
    words, offsets = words[offsets[0] : offsets[-1]].copy(), offsets - offsets[0]
    limit = int(RATE * 2**32)
    move(words, offsets, np.uint64(times * STEP % 1 * limit), np.uint64(limit))
    return column_of(words, offsets)


@compiled
def move(words: NDArray[np.uint64], offsets: NDArray[np.int64], step: np.uint64, limit: np.uint64) -> None:
    """Add a number to the hashes of all entries, modulo `limit`; the entries of each voice stay sorted."""
    room = np.empty(MOST, np.uint64)
    low = np.uint64(32)
    for i in range(len(offsets) - 1):
        count = np.int64(words[offsets[i]] & np.uint64(0xFFFFFFFF))
        start = offsets[i] + 1 + count
        for voice in range(count):
            size = np.int64(words[offsets[i] + 1 + voice] & np.uint64(0xFFFF))
            wrapped = np.int64(0)
            for k in range(size):
                room[k] = words[start + k] + (step << low)
                if room[k] >> low >= limit:
                    room[k] -= limit << low
                    wrapped += 1
            for k in range(size):
                words[start + k] = room[(k + size - wrapped) % size]
            start += size


def made(pieces: int, folder: Path) -> list[Path]:
    """Return the files of the facts of pieces, made in processes of their own unless they are there."""
    paths = []
    for first in range(0, pieces, CHUNK):
        size = min(CHUNK, pieces - first)
        paths.append(folder / file_name(first, size))
        if not paths[-1].exists():
            maker = multiprocessing.get_context("spawn").Process(target=make, args=(paths[-1], first, size))
            maker.start()
            maker.join()
    return paths


def names(numbers: NDArray[np.int64], salt: int = 0) -> pl.Series:
    """Return what looks like SHA-256 in hexadecimal digits, of numbers."""
    words = {str(word): pl.Series(numbers).hash(seed=4 * salt + word) for word in range(4)}
    digits = pl.DataFrame(words).select(
        pl.concat_str(pl.nth(word).cast(pl.String).str.zfill(20).str.slice(4) for word in range(4))
    )
    return digits.to_series()


def inventory(sha256: pl.Series) -> pl.DataFrame:
    """Return the files of an inventory with these hashes."""
    n = len(sha256)
    row = pl.int_range(n)
    return pl.DataFrame({"sha256": sha256}).with_columns(
        pl.format("{}/{}/{}.mid", row % 997, row % 89, row).alias("path"),
        pl.lit("made").alias("collection"),
        pl.lit(10_000, pl.Int64).alias("size"),
        pl.lit("CC0-1.0").alias("licence"),
        pl.lit(None, pl.String).alias("stated_licence"),
        pl.format("style{}", row % STYLES).alias("style"),
        pl.lit(None, pl.String).alias("reason"),
        pl.lit(None, pl.String).alias("detail"),
        (row // 512).cast(pl.Int64).alias("partition"),
    )


def own_gib() -> float:
    """Return the memory of this process that no file backs."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 2**20 if found else 0.0


@contextmanager
def peak_of_own_gib() -> Iterator[list[float]]:
    """Yield a list that holds the greatest memory of this process so far."""
    peak, ended = [own_gib()], threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], own_gib())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def simulate(paths: list[Path], folder: Path) -> dict[str, float]:
    """Return what it takes to make of facts what ingestion makes of them, and how true that is."""
    facts = pl.concat([mapped(path) for path in paths]).rechunk()  # as `Store.facts`
    pieces = len(facts)
    files = inventory(facts["sha256"])
    before = own_gib()
    with peak_of_own_gib() as peak:
        begun, cpu = time.perf_counter(), time.process_time()
        manifest = build_manifest(
            files, facts.drop("planted"), Limits(), Duplicates(), SplitShares(), tested=folder / "tested_pairs"
        )
        built = time.perf_counter() - begun, time.process_time() - cpu
        write_manifest(folder / "manifest.parquet", manifest)
        del manifest
        found = read_manifest(folder / "manifest.parquet")
        written = time.perf_counter() - begun - built[0]
    family = facts["planted"].to_numpy()
    apart = np.where(family < 0, np.arange(pieces) + pieces, family)
    joined = found["family"].rank("dense").to_numpy().astype(np.int64)
    both = np.unique(apart * np.int64(4 * pieces) + joined, return_counts=True)[1]
    placed = found.select("family", "split").unique()
    return {
        "pieces": pieces,
        "GiB of facts, mapped": sum(path.stat().st_size for path in paths) / 2**30,
        "seconds to the manifest": built[0],
        "CPU seconds to the manifest": built[1],
        "seconds to write and read it": written,
        "bytes of the manifest, a piece": (folder / "manifest.parquet").stat().st_size / pieces,
        "GiB before": before,
        "GiB at the peak": peak[0],
        "families over two splits": len(placed) - placed["family"].n_unique(),
        "pairs found (recall)": pairs(both) / pairs(np.unique(apart, return_counts=True)[1]),
        "pairs true (precision)": pairs(both) / pairs(np.unique(joined, return_counts=True)[1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=1_000_000)
    parser.add_argument("--facts", type=Path, help="keep the made facts in this folder, and use those that are there")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        facts = arguments.facts or Path(folder)
        facts.mkdir(parents=True, exist_ok=True)
        figures = simulate(made(arguments.pieces, facts), Path(folder))
    for name, figure in figures.items():
        print(f"{name:35} {figure:>14,.0f}" if float(figure).is_integer() else f"{name:35} {figure:>14.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
