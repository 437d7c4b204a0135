"""Kill −9 at random moments, then run again: the same digest as without, and nothing left over.

    python tests/benchmarks/interruptions.py --corpus DIR [--kills 20] [--seed 0]

Every kill hits `musenet ingest` of the corpus in a lake of its own, at a moment drawn from the length of an
uninterrupted run; workers and the Prefect server must end by themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

MUSENET = Path(sys.executable).with_name("musenet")
GRACE_SECONDS = 30.0
"""Time that what a killed command had started may take to end."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="musenet-benchmark-") as scratch:
        begun = time.perf_counter()
        digest = _digest(_finish(options.corpus, Path(scratch) / "whole"))
        length = time.perf_counter() - begun
        print(f"uninterrupted: {digest} in {length:.1f} s")
        faults = 0
        for number in range(options.kills):
            after = moments.uniform(0.2, length)
            lake = Path(scratch) / f"killed-{number}"
            fault = _interrupt(options.corpus, lake, after, digest)
            faults += fault is not None
            print(f"killed after {after:5.2f} s: {fault or 'same digest, nothing left over'}", flush=True)
    sys.exit(f"{faults} of {options.kills} went wrong" if faults else 0)


def _interrupt(corpus: Path, lake: Path, after: float, digest: str) -> str | None:
    """Return a description of what went wrong; empty if nothing did."""
    process = subprocess.Popen(_command(corpus, lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    begun = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(begun, timeout=GRACE_SECONDS)
    again = _digest(_finish(corpus, lake))
    left = [str(path.relative_to(lake)) for path in lake.rglob(".staging-*")]
    if again != digest:
        return f"digest {again}"
    if left:
        return f"left over: {', '.join(left)}"
    return f"still alive: {[each.name() for each in alive]}" if alive else None


def _finish(corpus: Path, lake: Path) -> bytes:
    return subprocess.run(_command(corpus, lake), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def _command(corpus: Path, lake: Path) -> list[str]:
    return [os.fspath(MUSENET), "ingest", os.fspath(corpus), "--name", "killed", "--lake", os.fspath(lake), "--json"]


def _digest(report: bytes) -> str:
    return str(json.loads(report)["digest"])


if __name__ == "__main__":
    main()
