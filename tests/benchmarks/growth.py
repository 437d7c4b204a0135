"""The cost of a grown collection: re-ingesting with a small share of new files against ingesting all of them.

    python tests/benchmarks/growth.py --corpus DIR [--scales 4,16] [--share 0.01] [--json FILE]

Scale n is the corpus n times over; each further copy has the pitches of every track shuffled, which makes it other
music, not another copy of a piece. New files are further such copies, spread over all folders. All runs report to one
Prefect server.

What counts are CPU seconds of the command and its workers, for a machine may have other work to do. The start-up, which
does not depend on the number of files, is what adding one file to a collection of one takes; each growth is paired with
such a run just before it, whose CPU seconds are taken off, of the whole and by stage. The middle one of the rounds
counts. The bytes are those of the lake's new files, hard links to old ones left out.
Exit status 1 when a bar is missed, 3 % of the CPU seconds and 5 % of the bytes for 1 % of new files, and when a
measurement is no base for a judgement.
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
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import symusic
from ingest import MUSENET, _servers
from report import table

MOST_CPU, MOST_BYTES = 0.03, 0.05
"""Shares of the first ingestion's CPU seconds and bytes that one with 1 % of new files may take."""
ROUNDS = 3
"""Growths in a row, each with its start-up."""
PIECES = ("datasets", "pieces", "cache/archives", "cache/facts", "cache/links")
"""Folders of the lake that ingestion writes to."""
END = "end"
"""The name of what a command does after its last stage."""


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
        _startup(options.corpus, home, "warm")  # which compiles what a fresh installation has not compiled yet
        for scale in (int(word) for word in options.scales.split(",")):
            rows.append(_measure(options.corpus, scale, options.share, home))
    heads = ("files", "new", "start-up", "full", "grown", "CPU", "full MB", "grown MB", "bytes", "shards encoded")
    print(table(heads, [_cells(row) for row in rows]))
    for row in rows:
        stages = ", ".join(f"{stage} {seconds:+.2f}" for stage, seconds in row["stages"].items())
        print(f"{row['files']:,} files, CPU seconds of a growth beyond start-up, by the stage that ends: {stages}")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    sys.exit("; ".join(_faults(rows, options.share / 0.01)) or 0)


def _faults(rows: list[dict[str, Any]], allowed: float) -> list[str]:
    """Return the bars that were missed, and what makes a measurement worthless."""
    faults = []
    for row in rows:
        files = f"{row['files']:,} files"
        if min(row["beyond"]) <= 0 or row["full_beyond"] <= 0:
            faults.append(f"{files}: no judgement, a run took less CPU time than its start-up; use an idler machine")
        elif row["cpu"] > MOST_CPU * allowed:
            faults.append(f"missed: {files}: {row['cpu']:.1%} of the CPU time")
        if row["bytes"] > MOST_BYTES * allowed:
            faults.append(f"missed: {files}: {row['bytes']:.1%} of the bytes")
    return faults


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['files']:,}",
        f"{row['new']:,}",
        f"{row['startup']:.1f} s",
        f"{row['full']:.1f} s",
        f"{row['grown']:.1f} s",
        f"{row['cpu']:.1%}",
        f"{row['full_bytes'] / 1e6:,.1f}",
        f"{row['grown_bytes'] / 1e6:,.1f}",
        f"{row['bytes']:.1%}",
        row["encoded"],
    ]


def _startup(corpus: Path, home: Path, name: str) -> dict[str, Any]:
    """Add one file to a collection of one, in a lake where nothing else is."""
    folder, sources = home / f"one-{name}", _sources(corpus)
    with _lake_set_aside(home):
        _copy(sources[:1], corpus, folder, 0)
        _ingest(folder, home)
        _copy(sources[1:2], corpus, folder, 0)
        return _ingest(folder, home)


def _measure(corpus: Path, scale: int, share: float, home: Path) -> dict[str, Any]:
    folder, sources = home / f"scale-{scale}", _sources(corpus)
    for seed in range(scale):
        _copy(sources, corpus, folder, seed)
    time.sleep(2)  # a file's hash is cached once its date is not the present
    files = len(sources) * scale
    new = max(int(files * share), 1)
    full = _ingest(folder, home)
    full_bytes = sum(_inodes(home).values())
    random = np.random.default_rng(scale)
    startups, growths, grown_bytes = [], [], []
    for round_ in range(ROUNDS):
        for copy, chosen in enumerate(_draws(sources, new, random)):
            _copy(chosen, corpus, folder, 1000 * (round_ + 1) + copy)
        startups.append(_startup(corpus, home, f"{scale}-{round_}"))
        before = _inodes(home)
        growths.append(_ingest(folder, home))
        grown_bytes.append(sum(size for inode, size in _inodes(home).items() if inode not in before))
    shutil.rmtree(folder)
    _clear(home)
    startup = median(run["cpu"] for run in startups)
    beyond = [grown["cpu"] - least["cpu"] for grown, least in zip(growths, startups, strict=True)]
    middle = sorted(range(ROUNDS), key=beyond.__getitem__)[ROUNDS // 2]
    grown, least = growths[middle], startups[middle]
    return {
        "scale": scale,
        "files": files,
        "new": new,
        "startup": startup,
        "full": full["cpu"],
        "full_beyond": full["cpu"] - startup,
        "grown": grown["cpu"],
        "beyond": beyond,
        "cpu": beyond[middle] / (full["cpu"] - startup),
        "seconds": {"startup": least["seconds"], "full": full["seconds"], "grown": grown["seconds"]},
        "full_bytes": full_bytes,
        "grown_bytes": median(grown_bytes),
        "bytes": median(grown_bytes) / full_bytes,
        "encoded": grown["encoded"],
        "stages": {stage: seconds - least["stages"].get(stage, 0.0) for stage, seconds in grown["stages"].items()},
    }


def _draws(sources: list[Path], count: int, random: np.random.Generator) -> Iterator[list[Path]]:
    """Yield lists of `count` sources together, none with one source twice."""
    while count:
        part = min(count, len(sources))
        yield [sources[index] for index in sorted(random.permutation(len(sources))[:part])]
        count -= part


def _ingest(folder: Path, home: Path) -> dict[str, Any]:
    """Ingest; return elapsed and CPU seconds, CPU seconds by stage, and the shards encoded.

    A stage's line is printed at its end, so what comes before the first one, imports above all, counts for the first.
    """
    command = [MUSENET, "ingest", folder, "--name", "benchmark", "--lake", home / "lake", "--json"]
    begun, before = time.perf_counter(), _cpu_of_children()
    stages: dict[str, float] = {}
    lines, encoded, spent = [], "", 0.0
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            words = line.split()
            if words[:1] == ["✓"] and words[3:4] == ["s"]:
                now = _cpu_of_tree(process.pid)
                stages[words[1]], spent = now - spent, now
            if "shards encoded" in line:
                encoded = line.split(", ")[-1].strip().removesuffix(" shards encoded")
    if process.returncode:
        sys.exit("".join(lines))
    cpu = _cpu_of_children() - before
    return {
        "seconds": time.perf_counter() - begun,
        "cpu": cpu,
        "stages": {**stages, END: cpu - spent},
        "encoded": encoded,
    }


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of a process and all that it has started, ended ones included."""
    parent, total = psutil.Process(pid), 0.0
    for process in [parent, *parent.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def _inodes(home: Path) -> dict[int, int]:
    """Bytes by inode of the files that ingestion writes."""
    paths = [path for name in PIECES for path in (home / "lake" / name).rglob("*") if path.is_file()]
    return {status.st_ino: status.st_size for status in (path.stat() for path in paths)}


@contextmanager
def _lake_set_aside(home: Path) -> Iterator[None]:
    """Give an empty lake to the block, with the same servers."""
    aside = home / "aside"
    kept = [name for name in PIECES if (home / "lake" / name).exists()]
    for name in kept:
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "lake" / name).rename(aside / name)
    try:
        yield
    finally:
        _clear(home)
        for name in kept:
            (aside / name).rename(home / "lake" / name)


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
