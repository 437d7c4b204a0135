"""The first use after an installation beside a later one: what compiling the loops takes, by command.

    python tests/benchmarks/first_use.py [--corpus DIR]

Each command is run in an empty lake, with an empty cache of machine code and then with a filled one. `--corpus`: the
MIDI files to ingest; by default the game music that ships with musenet.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flows.ingestion.starter import FREEDOOM

MUSENET = Path(sys.executable).with_name("musenet")


def timed(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return its seconds, and those of the processor that it and its children took."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([MUSENET, *words], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"musenet {' '.join(words)}: {done.stderr[-500:]}")
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default=str(FREEDOOM))
    corpus = parser.parse_args().corpus
    print(f"{'':<28}{'seconds':>10}{'of a processor':>16}")
    with tempfile.TemporaryDirectory(prefix="musenet-first-") as name:
        cache = Path(name) / "machine-code"
        for use in ("first", "later"):
            lake = Path(name) / use
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "MUSENET_LAKE": str(lake)}
            commands = {
                "ingest": ["ingest", corpus, "--name", "songs"],
                "import the starter model": ["models", "import", "starter", "--alias", "champion"],
                "sample, best of 8": ["sample", "--seconds", "20", "--seed", "1", "--out", str(lake / "songs")],
            }
            for what, words in commands.items():
                seconds, used = timed(words, environment)
                print(f"{use}: {what:<21}{seconds:>10.1f}{used:>16.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
