"""Leaks found by shortened fingerprints, beside those that the whole fingerprints of an ingestion find.

    python tests/benchmarks/leaks.py FOLDER… [--entries 16,32,48,64] [--json FILE]

All MIDI files below the folders become families, by whole fingerprints. Of each family of several pieces one half, at
random, counts as known, of all other pieces a half, too; what is left is held out, and leaks if one of its family is
known. For each number of entries it is printed how many of these leaks the shortened fingerprints find, how many clean
pieces they take for leaks, and the bytes of the identities of a piece.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from report import processor, table, write_json

from flows.ingestion.dedup.equal_music import Duplicates
from flows.ingestion.dedup.families import find_families
from flows.ingestion.dedup.links import Rules
from flows.ingestion.dedup.sketches import Sketches
from flows.warm_start.leaks import leaked_of
from tokenization.fingerprint import fingerprint, shortened
from tokenization.identities import SCHEMA, Identities
from tokenization.midi import MidiError, read_midi

WHOLE = 2**15
"""Entries of which no fingerprint has more."""


def read(folders: list[Path]) -> tuple[list[bytes], list[np.ndarray]]:
    """Return SHA-256 and fingerprint of each different file that can be read."""
    found: dict[bytes, np.ndarray] = {}
    for file in sorted(file for folder in folders for file in folder.rglob("*.mid")):
        data = file.read_bytes()
        try:
            found[hashlib.sha256(data).digest()] = fingerprint(read_midi(data))
        except MidiError:
            continue
    return [*found], [*found.values()]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folders", nargs="+", type=Path)
    arguments.add_argument("--entries", default="16,32,48,64")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    names, prints = read(options.folders)
    rules = Duplicates()
    thresholds = Rules(related=rules.related_from, duplicate=rules.duplicate_from)
    sketches = Sketches.of(pl.Series([words.tobytes() for words in prints], dtype=pl.Binary))
    family = find_families(sketches, np.arange(len(names)), thresholds, drop=None).best
    known = np.zeros(len(names), np.bool_)
    for members in np.split(np.argsort(family, kind="stable"), np.flatnonzero(np.diff(np.sort(family))) + 1):
        order = np.random.default_rng([7, int(members[0])]).permutation(members)
        known[order[: (len(order) + int(len(order) == 1 and order[0] % 2)) // 2]] = True
    leaks = {names[i].hex() for i in np.flatnonzero(~known) if known[family == family[i]].any()}
    print(f"{len(names):,} pieces, {known.sum():,} known, {(~known).sum():,} held out, {len(leaks):,} of them leak")
    rows = []
    for entries in [*map(int, options.entries.split(",")), WHOLE]:
        short = [shortened(words, entries).tobytes() for words in prints]
        every = pl.DataFrame({"sha256": names, "fingerprint": short}, schema=SCHEMA)
        theirs, ours = Identities(every.filter(known)), Identities(every.filter(~known))
        begun = time.perf_counter()
        found = leaked_of(theirs, ours)
        seconds = time.perf_counter() - begun
        with tempfile.TemporaryDirectory() as scratch:
            theirs.write(Path(scratch, "identities"))
            size = Path(scratch, "identities").stat().st_size / len(theirs)
        rows.append(
            [
                "all" if entries == WHOLE else str(entries),
                f"{len(found & leaks) / max(len(leaks), 1):.3f}",
                f"{len(found - leaks)} of {(~known).sum() - len(leaks)}",
                f"{size:,.0f}",
                f"{seconds:.1f}",
            ]
        )
    print(table(("entries of a voice", "leaks found", "clean pieces taken for leaks", "bytes a piece", "s"), rows))
    if options.json:
        write_json(options.json, {"device": processor()}, {"pieces": len(names), "rows": rows})


if __name__ == "__main__":
    main()
