"""Registering a large version and pulling it: seconds, processor time and memory, straight to the artifact store.

    python tests/benchmarks/registering.py [--gigabytes 4] [--folder DIR]

The registry is that of an empty lake in a temporary folder below DIR, or what MLFLOW_TRACKING_URI names. Exit status 1
if registering takes more than a minute or a gigabyte of memory beside what the libraries take.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from infra.lake import Lake
from infra.services import library_settings

MOST_SECONDS, MOST_MIB = 60.0, 1024
BLOCK = os.urandom(2**24)
Result = TypeVar("Result")


def write_bundle(folder: Path, size: int) -> Path:
    """Write files as large as those of a version, whose network no one loads."""
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as weights:
        for number in range(size // len(BLOCK)):
            weights.write(number.to_bytes(8, "big") + BLOCK[8:])
    lineage = {"run": "0123456789ab", "dataset": "songs", "digest": "ab" * 16, "preset": "musenet"}
    (folder / "lineage.json").write_text(json.dumps(lineage))
    return folder


def measured(what: str, work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Return a result with the seconds and the MiB that it took; print them."""
    before, begun, used = _peak(), time.monotonic(), time.process_time()
    result = work()
    seconds, more = time.monotonic() - begun, _peak() - before
    print(f"{what}: {seconds:.1f} s, {time.process_time() - used:.1f} s of a processor, {more:.0f} MiB more memory")
    return result, seconds, more


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="musenet-registering-", dir=arguments.folder) as name:
        lake = Lake(Path(name) / "lake")
        bundle = write_bundle(Path(name) / "bundle", int(arguments.gigabytes * 1e9))
        with library_settings(lake):
            from registry.lineage import DatasetReference
            from registry.publishing import register
            from registry.pulling import pull
            from registry.runs import begin_run
            from registry.store import Registry

            registry = Registry.open(lake)
            dataset = DatasetReference("songs", "ab" * 16, "", {})
            run = begin_run(registry, "0123456789ab", "musenet", {})
            size = arguments.gigabytes
            model, seconds, memory = measured(
                f"registering {size:g} GB", lambda: register(registry, run, bundle, dataset, {}, "A card.")
            )
            again, _, _ = measured("again", lambda: register(registry, run, bundle, dataset, {}, "A card."))
            measured("pulling, checked", lambda: pull(registry, model))
    is_met = seconds <= MOST_SECONDS and memory <= MOST_MIB and again.version == model.version
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
