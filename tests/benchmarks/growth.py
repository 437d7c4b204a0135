"""The cost of a grown collection: re-ingesting with a small share of new files against ingesting all of them.

    python tests/benchmarks/growth.py --corpus DIR [--scales 4,16] [--share 0.01] [--json FILE]

Scale n is the corpus n times over; each further copy has the pitches of every track shuffled, which makes it other
music, not another copy of a piece. New files are further such copies, spread over all folders. All runs report to one
Prefect server. The start-up, which does not depend on the number of files, is what adding one file to a collection of
one takes; it is taken off both times before they are compared. CPU seconds, of the command and its workers, are
compared in the same way: they say more on a machine that has other work to do. The bytes are those of the lake's new
files, hard links to old ones left out.
Exit status 1 when a bar is missed: 3 % of the time and 5 % of the bytes for 1 % of new files.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from ingest import MUSENET, _servers
from report import table

MOST_TIME, MOST_BYTES = 0.03, 0.05
"""Shares of the first ingestion's time and bytes that one with 1 % of new files may take."""
ROUNDS = 3
"""Measurements of start-up, and growths in a row; the fastest counts."""
PIECES = ("datasets", "pieces", "cache/archives")
"""Folders of the lake that ingestion writes to."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--scales", default="4,16")
    arguments.add_argument("--share", type=float, default=0.01)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="musenet-benchmark-") as scratch, _servers(Path(scratch) / "lake"):
        home = Path(scratch)
        startup = _startup(options.corpus, home)
        print(f"start-up (one file added to one): {startup['seconds']:.2f} s, CPU {startup['cpu']:.2f} s", flush=True)
        for scale in (int(word) for word in options.scales.split(",")):
            rows.append(_measure(options.corpus, scale, options.share, startup, home))
    heads = ("files", "new", "full s", "grown s", "time", "CPU", "full MB", "grown MB", "bytes", "shards encoded")
    print(table(heads, [_cells(row) for row in rows]))
    for row in rows:
        print(f"{row['files']:,} files, seconds by stage: {row['stages']}")
    if options.json:
        options.json.write_text(json.dumps({"startup": startup, "rows": rows}, indent=1) + "\n")
    allowed = options.share / 0.01
    missed = [
        f"{row['files']:,} files: {row['time']:.1%} of the time" for row in rows if row["time"] > MOST_TIME * allowed
    ]
    missed += [
        f"{row['files']:,} files: {row['bytes']:.1%} of the bytes"
        for row in rows
        if row["bytes"] > MOST_BYTES * allowed
    ]
    sys.exit("missed: " + "; ".join(missed) if missed else 0)


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['files']:,}",
        f"{row['new']:,}",
        f"{row['full']:.1f}",
        f"{row['grown']:.1f}",
        f"{row['time']:.1%}",
        f"{row['cpu']:.1%}",
        f"{row['full_bytes'] / 1e6:,.1f}",
        f"{row['grown_bytes'] / 1e6:,.1f}",
        f"{row['bytes']:.1%}",
        row["encoded"],
    ]


def _startup(corpus: Path, home: Path) -> dict[str, float]:
    runs = []
    for number in range(ROUNDS):
        folder = home / f"one-{number}"
        sources = _sources(corpus)
        _copy(sources[:1], corpus, folder, 0)
        _ingest(folder, home)
        _copy(sources[1:2], corpus, folder, 0)
        runs.append(_ingest(folder, home))
        _clear(home)
    return {measure: min(run[measure] for run in runs) for measure in ("seconds", "cpu")}


def _measure(corpus: Path, scale: int, share: float, startup: dict[str, float], home: Path) -> dict[str, Any]:
    folder, sources = home / f"scale-{scale}", _sources(corpus)
    for seed in range(scale):
        _copy(sources, corpus, folder, seed)
    time.sleep(2)  # a file's hash is cached once its date is not the present
    files = len(sources) * scale
    full = _ingest(folder, home)
    full_bytes = sum(_inodes(home).values())
    random = np.random.default_rng(scale)
    rounds = []
    for round_ in range(ROUNDS):
        new = max(int(files * share), 1)
        for copy, chosen in enumerate(_draws(sources, new, random)):
            _copy(chosen, corpus, folder, 1000 * (round_ + 1) + copy)
        time.sleep(2)
        before = _inodes(home)
        run = _ingest(folder, home)
        run["bytes"] = sum(size for inode, size in _inodes(home).items() if inode not in before)
        rounds.append({**run, "new": new})
    shutil.rmtree(folder)
    _clear(home)
    fastest = min(rounds, key=lambda run: run["seconds"])
    beyond = {
        measure: (min(run[measure] for run in rounds) - least) / (full[measure] - least)
        for measure, least in startup.items()
    }
    grown_bytes = sorted(run["bytes"] for run in rounds)[ROUNDS // 2]
    return {
        "scale": scale,
        "files": files,
        "new": fastest["new"],
        "full": full["seconds"],
        "grown": fastest["seconds"],
        "time": beyond["seconds"],
        "cpu": beyond["cpu"],
        "full_bytes": full_bytes,
        "grown_bytes": grown_bytes,
        "bytes": grown_bytes / full_bytes,
        "encoded": fastest["encoded"],
        "stages": fastest["stages"],
    }


def _draws(sources: list[Path], count: int, random: np.random.Generator) -> Iterator[list[Path]]:
    """Yield lists of `count` sources together, none with one source twice."""
    while count:
        part = min(count, len(sources))
        yield [sources[index] for index in sorted(random.permutation(len(sources))[:part])]
        count -= part


def _ingest(folder: Path, home: Path) -> dict[str, Any]:
    """Seconds, CPU seconds, the seconds of each stage as the command prints them, and the shards encoded."""
    command = [MUSENET, "ingest", folder, "--name", "benchmark", "--lake", home / "lake", "--json"]
    begun, before = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds, cpu = time.perf_counter() - begun, _cpu_of_children() - before
    if done.returncode:
        sys.exit(done.stderr)
    stages, encoded = {}, ""
    for line in done.stderr.splitlines():
        words = line.split()
        if words[:1] == ["✓"] and words[3:4] == ["s"]:
            stages[words[1]] = float(words[2])
        if "shards encoded" in line:
            encoded = line.split(", ")[-1].removesuffix(" shards encoded")
    return {"seconds": seconds, "cpu": cpu, "stages": stages, "encoded": encoded}


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _inodes(home: Path) -> dict[int, int]:
    """Bytes by inode of the files that ingestion writes."""
    paths = [path for name in PIECES for path in (home / "lake" / name).rglob("*") if path.is_file()]
    return {status.st_ino: status.st_size for status in (path.stat() for path in paths)}


def _clear(home: Path) -> None:
    for name in PIECES:
        shutil.rmtree(home / "lake" / name, ignore_errors=True)


def _sources(corpus: Path) -> list[Path]:
    return sorted(path for path in corpus.rglob("*") if path.suffix.lower() in (".mid", ".midi") and path.is_file())


def _copy(sources: list[Path], corpus: Path, folder: Path, seed: int) -> None:
    """Write copies of files; seed 0: as they are."""
    for source in sources:
        target = folder / source.relative_to(corpus).parent / f"{source.stem}-{seed}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_shuffled(source.read_bytes(), seed))


def _shuffled(data: bytes, seed: int) -> bytes:
    """The file with the pitches of each track shuffled; one that symusic refuses gets some bytes at its end instead."""
    if not seed:
        return data
    try:
        score = symusic.Score.from_midi(data)
    except RuntimeError:
        return data + seed.to_bytes(4, "big")
    random = np.random.default_rng([seed, len(data)])
    for track in score.tracks:
        if not track.is_drum and len(track.notes):
            notes = track.notes.numpy()
            notes["pitch"] = random.permutation(notes["pitch"])
            track.notes = symusic.Note.from_numpy(**notes, ttype="tick")
    return score.dumps_midi()


if __name__ == "__main__":
    main()
