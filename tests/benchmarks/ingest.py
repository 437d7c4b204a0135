"""The whole of `musenet ingest` against bare symusic parsing of the same bytes on one core.

    python tests/benchmarks/ingest.py --corpus DIR [--scales 1,4,16] [--json FILE]

Scale n is the corpus n times over: every further copy has other names and is transposed by other semitones. All runs
report to one Prefect server that `musenet up` started; each finds the lake without datasets and without pieces. The
fixed start-up is what `musenet ingest` of a single file takes; it is stated and taken off before the ratio.
Exit status 1 when a bar is missed: ratio at most 10, cost per file not growing, memory under 2 GiB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import symusic

MUSENET = Path(sys.executable).with_name("musenet")
MOST_TIMES_BARE = 10.0
MOST_GROWTH = 1.15
"""Cost per file at the largest scale over that at the smallest; the rest is the machine's noise."""
MOST_BYTES = 2 * 2**30
ROUNDS = 5
"""The middle one counts."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--scales", default="1,4,16")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    rows, missed = [], []
    with tempfile.TemporaryDirectory(prefix="musenet-benchmark-") as scratch, _servers(Path(scratch) / "lake"):
        single = _single(options.corpus, Path(scratch))
        startup = sorted(_ingest(single, Path(scratch))["seconds"] for _ in range(ROUNDS))[ROUNDS // 2]
        print(f"fixed start-up (one file): {startup:.2f} s")
        print(f"{'scale':>5} {'files':>8} {'bare s':>8} {'ingest s':>9} {'ratio':>6} {'ms/file':>8} {'memory MB':>10}")
        for scale in (int(word) for word in options.scales.split(",")):
            row = _measure(options.corpus, scale, startup, Path(scratch))
            rows.append(row)
            print(
                f"{scale:>5} {row['files']:>8,} {row['bare']:>8.2f} {row['seconds']:>9.2f} {row['ratio']:>6.1f} "
                f"{row['per_file'] * 1000:>8.2f} {row['memory'] / 2**20:>10,.0f}"
            )
    missed += [f"scale {row['scale']}: {row['ratio']:.1f} times bare" for row in rows if row["ratio"] > MOST_TIMES_BARE]
    missed += [f"scale {row['scale']}: {row['memory']:,} bytes" for row in rows if row["memory"] > MOST_BYTES]
    growth = rows[-1]["per_file"] / rows[0]["per_file"]
    print(f"cost per file, largest over smallest scale: {growth:.2f}")
    missed += [f"cost per file grows {growth:.2f} times"] if growth > MOST_GROWTH else []
    if options.json:
        options.json.write_text(json.dumps({"startup": startup, "growth": growth, "rows": rows}, indent=1) + "\n")
    sys.exit("missed: " + "; ".join(missed) if missed else 0)


@contextmanager
def _servers(lake: Path) -> Iterator[None]:
    subprocess.run([MUSENET, "up", "--lake", lake], check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([MUSENET, "down", "--lake", lake], check=True, stdout=subprocess.DEVNULL)


def _measure(corpus: Path, scale: int, startup: float, scratch: Path) -> dict[str, Any]:
    folder = _scaled(corpus, scale, scratch)
    files = [path for path in folder.rglob("*") if path.is_file()]
    bares, runs = [], []
    for _ in range(ROUNDS if scale == 1 else 1):  # side by side
        bares.append(_bare(files))
        runs.append(_ingest(folder, scratch))
    middle = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
    seconds, bare = middle["seconds"] - startup, sorted(bares)[len(bares) // 2]
    shutil.rmtree(folder)
    return {
        "scale": scale,
        "files": len(files),
        "bare": bare,
        "seconds": middle["seconds"],
        "ratio": seconds / bare,
        "per_file": seconds / len(files),
        "memory": max(run["memory"] for run in runs),
        "outcomes": middle["outcomes"],
    }


def _bare(files: list[Path]) -> float:
    data = [path.read_bytes() for path in files]
    begun = time.perf_counter()
    for content in data:
        try:
            symusic.Score.from_midi(content)
        except RuntimeError:
            continue
    return time.perf_counter() - begun


def _ingest(folder: Path, scratch: Path) -> dict[str, Any]:
    """Seconds, greatest resident memory of all processes together, and outcomes of an ingestion."""
    lake = scratch / "lake"
    for name in ("datasets", "pieces", "cache/facts"):
        shutil.rmtree(lake / name, ignore_errors=True)
    command = [MUSENET, "ingest", folder, "--name", "benchmark", "--lake", lake, "--json"]
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE)
        memory = 0
        while process.poll() is None:
            memory = max(memory, _resident(process.pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - begun
        output.seek(0)
        if process.returncode:
            sys.exit(process.stderr.read().decode() if process.stderr else "ingestion failed")
        outcomes = json.loads(output.read())["outcomes"]
    return {"seconds": seconds, "memory": memory, "outcomes": outcomes}


def _resident(pid: int) -> int:
    """Memory of a process and those that it started."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


def _single(corpus: Path, scratch: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    shutil.copy2(min(corpus.rglob("*.mid")), folder / "one.mid")
    return folder


def _scaled(corpus: Path, scale: int, scratch: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    sources = [path for path in corpus.rglob("*") if path.suffix.lower() in (".mid", ".midi") and path.is_file()]
    for copy in range(scale):
        for source in sources:
            target = folder / source.relative_to(corpus).parent / f"{source.stem}-{copy}{source.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_transposed(source.read_bytes(), (copy + 1) // 2 * (-1) ** copy))
    return folder


def _transposed(data: bytes, semitones: int) -> bytes:
    """The file with its pitched notes moved; a file that symusic refuses gets some bytes at its end instead."""
    if not semitones:
        return data
    try:
        score = symusic.Score.from_midi(data)
    except RuntimeError:
        return data + semitones.to_bytes(1, "big", signed=True)
    for track in score.tracks:
        if not track.is_drum:
            track.notes.filter(lambda note: 0 <= note.pitch + semitones <= 127, inplace=True)
            track.shift_pitch(semitones, inplace=True)
    return score.dumps_midi()


if __name__ == "__main__":
    main()
