"""Damaged files: each has the expected outcome, and no mutation of a real one stops the flow.

    python tests/benchmarks/hostile.py --corpus DIR [--weird DIR] [--mutations 20000] [--seed 0]

`--weird` is a folder of edge-case files whose MANIFEST.csv says in `expect` what is wanted of each, and in `mido` and
`symusic` what these make of it. Mutations are real files with some bytes changed, cut out or put in; all go through
`musenet ingest`, and every one must be in the manifest.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tokenization.dataset.manifest import OUTCOME

MUSENET = Path(sys.executable).with_name("musenet")
ANY_MUSIC = ("limits.min_notes=1", "limits.max_notes_per_second=1000000", "limits.max_seconds=1000000")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--weird", type=Path)
    arguments.add_argument("--mutations", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    faults = _weird(options.weird) if options.weird else []
    faults += _mutations(options.corpus, options.mutations, options.seed)
    print("\n".join(faults))
    sys.exit(f"{len(faults)} went wrong" if faults else 0)


def _ingest(folder: Path, lake: Path) -> pl.DataFrame:
    settings = [word for setting in ANY_MUSIC for word in ("--set", setting)]
    command = [MUSENET, "ingest", folder, "--name", "hostile", "--lake", lake, "--json", *settings]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return pl.read_parquet(Path(report["folder"]) / "manifest.parquet")


def _weird(folder: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as lake:
        found = {row["path"]: row for row in _ingest(folder, Path(lake)).iter_rows(named=True)}
    with (folder / "MANIFEST.csv").open(encoding="utf-8") as file:
        wanted = list(csv.DictReader(file))
    faults, kinds = [], collections.Counter[str]()
    for row in wanted:
        path = row["path"]
        members = [other for other in found if other.startswith(f"{path}/")]
        if path not in found and not members:
            faults.append(f"{path}: in no manifest")
            continue
        ended = found[path] if path in found else found[members[0]]
        kind, right = _as_wanted(row, ended)
        kinds[f"{kind}: {'as wanted' if right else 'not as wanted'}"] += 1
        if not right:
            counts = f"mido {row['mido']}, symusic {row['symusic']}"
            faults.append(f"{path}: wanted {row['expect']!r} ({counts}), is {_outcome(ended)}")
    print(f"{len(wanted)} edge-case files")
    for kind, count in sorted(kinds.items()):
        print(f"{count:>5}  {kind}")
    return faults


def _as_wanted(row: dict[str, str], ended: dict[str, Any]) -> tuple[str, bool]:
    """The kind of wish, and whether it is fulfilled."""
    wish, notes, refused = row["expect"], ended["notes"] or 0, ended["status"] == "quarantined"
    if "duplicate" in wish:
        near = wish.startswith("near")
        reasons = ("near_duplicate",) if near else ("same_bytes", "same_notes")
        # Of equal ones one is kept: it is a duplicate of none, and the others are of it.
        return "duplicate", ended["reason"] in reasons or ended["status"] == "accepted"
    counts = [int(number) for number in re.findall(r"(\d+)(?= notes?\b| or \d+ notes)", wish)]
    if counts:
        close = any(abs(notes - count) <= ("about" in wish) for count in counts)
        may_be_empty = "reject" in wish or 0 in counts
        return "number of notes", (refused and may_be_empty) or (close and not refused)
    if wish.startswith("reject"):
        return "refused" if refused else "read although it might be refused", refused or " or " in wish
    if wish in ("no crash", "tolerate or reject", "never written outside"):
        return "no harm", True
    peers = {int(said.split()[1]) for said in (row["mido"], row["symusic"]) if said.startswith("ok")}
    if len(peers) == 1 and peers != {0}:
        # What the peers drop without a word (notes that never end, running status after a sysex) is kept here.
        one_refuses = "err" in (row["mido"].split()[0], row["symusic"].split()[0])
        return "read as by peers, or more", notes >= max(peers) or (refused and one_refuses)
    if peers == {0}:
        return "peers find no note", refused or bool(ended["repairs"])
    return "peers refuse or disagree", refused or notes > 0


def _outcome(ended: dict[str, Any]) -> str:
    reason = f" {ended['reason']} ({ended['detail']})" if ended["reason"] else ""
    return f"{ended['status']}{reason}, {ended['notes']} notes, mended {ended['repairs']}"


def _mutations(corpus: Path, count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    sources = sorted(path for path in corpus.rglob("*") if path.suffix.lower() in (".mid", ".midi") and path.is_file())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "mutations"
        for number in range(count):
            source = sources[int(random.integers(len(sources)))]
            target = folder / f"{number // 1000:03d}" / f"{number:06d}.mid"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_mutated(source.read_bytes(), random))
        begun = time.perf_counter()
        manifest = _ingest(folder, Path(scratch) / "lake")
        seconds = time.perf_counter() - begun
    print(f"{count:,} mutated files in {seconds:.1f} s")
    outcomes = manifest.select(OUTCOME.alias("outcome")).group_by("outcome").len().sort("len", descending=True)
    for name, files in outcomes.iter_rows():
        print(f"{files:>7,}  {name}")
    repairs = manifest["repairs"].explode().drop_nulls().value_counts(sort=True)
    print("mended: " + ", ".join(f"{name} {files:,}" for name, files in repairs.iter_rows()))
    crashed = manifest.filter(pl.col("reason").is_in(["parser_crashed", "timed_out"]))
    faults = [f"{row['path']}: {_outcome(row)}" for row in crashed.iter_rows(named=True)]
    return faults + ([f"{len(manifest)} files in the manifest instead of {count}"] if len(manifest) != count else [])


def _mutated(data: bytes, random: np.random.Generator) -> bytes:
    """The file with one to eight faults: a byte changed, bytes cut out, bytes put in, or its end lost."""
    content = bytearray(data)
    for _ in range(int(random.integers(1, 9))):
        place = int(random.integers(max(len(content), 1)))
        match random.integers(8):
            case 0:
                del content[place : place + int(random.integers(1, 16))]
            case 1:
                content[place:place] = random.bytes(int(random.integers(1, 16)))
            case 2 if random.random() < 0.2:
                del content[place:]
            case _ if content:
                content[place] = int(random.integers(256))
    return bytes(content)


if __name__ == "__main__":
    main()
