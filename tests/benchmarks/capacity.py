"""What collections and networks of a size cost, from constants that were measured: the tables of docs/capacity.md.

    python tests/benchmarks/capacity.py
    python tests/benchmarks/capacity.py --measure LAKE --dataset NAME      # the bytes, of a lake of yours

`capacity_simulation.py` runs deduplication, manifest and splits on millions of made pieces.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

from report import table

FILES = (10**4, 10**6, 10**8)
PARAMETERS = (10**8, 10**9, 10**10)
KB, MB, GB, TB = 1e3, 1e6, 1e9, 1e12


@dataclass(frozen=True)
class Constants:
    """What one file, piece, parameter or step costs. Bytes a file are of all files, duplicates and refused ones too."""

    source_bytes: float = 10_383
    """Of a MIDI file."""
    parsed_bytes: float = 4_234
    """Of a file in `pieces/`: notes, facts and fingerprint."""
    facts_bytes: float = 2_027
    """Of a file in `cache/facts`."""
    manifest_bytes: float = 97
    """Of a row of the manifest."""
    shard_bytes: float = 1_722
    """Of a file's share of the shards, without augmented copies."""
    originality_bytes: float = 4_343
    """Of a file's share of the index by which copies are found."""
    tokens: float = 2_547
    """Of a file's share of the dataset."""
    ingestion_seconds: float = 38.2 / 16_168
    """CPU time of a file, first ingestion, start-up left out (docs/benchmarks.md, Growth)."""
    startup_seconds: float = 10.8
    """CPU time of an ingestion before and behind its work (the same)."""
    growth_seconds: float = 1.8 / 161
    """CPU time for a new file where a hundred times as many are known (the same)."""
    partition_files: int = 512
    """Files that are read and published together: the setting `partition_files`."""
    flow_rows: int = 31
    """Rows in Prefect's database for an ingestion: flow run, six task runs and their states, an artifact."""
    checkpoint_bytes: float = 13.46
    """Of a parameter in a checkpoint, in 32 bits with Muon."""
    kept_checkpoints: int = 2
    model_bytes: float = 4.0
    """Of a parameter in the best model so far."""
    metric_rows: float = 10.2
    """Rows in MLflow's database for a step."""
    event_bytes: float = 280
    """Of a step in `metrics.jsonl`."""
    step_tokens: float = 2**19
    """Assumed: tokens of an optimiser step."""
    tokens_per_parameter: float = 20
    """Assumed: tokens that a parameter is worth training on (Hoffmann et al., 2022)."""
    gpu_flops: float = 0.4 * 989e12
    """Assumed: 40 % of an H100's peak."""


def collections(of: Constants) -> str:
    """Return the table of collections by their size."""
    rows = []
    for files in FILES:
        partitions = ceil(files / of.partition_files)
        dataset = files * (of.manifest_bytes + of.shard_bytes + of.originality_bytes)
        # Two files a partition and split: a shard and its index
        objects = 6 * partitions
        rows.append(
            (
                count(files),
                volume(files * of.source_bytes),
                volume(files * of.parsed_bytes),
                volume(dataset),
                volume(files * of.manifest_bytes),
                count(files * of.tokens),
                hours(of.startup_seconds + files * of.ingestion_seconds),
                hours(of.startup_seconds + files / 100 * of.growth_seconds),
                count(partitions),
                str(of.flow_rows),
                count(files + partitions),
                count(partitions + objects + 6),
            )
        )
    heads = (
        *("files", "MIDI", "parsed", "a version", "its manifest", "tokens", "CPU, first", "CPU, 1 % new", "partitions"),
        *("rows in Prefect", "GET", "PUT"),
    )
    return table(heads, rows)


def networks(of: Constants) -> str:
    """Return the table of networks by their parameters."""
    rows = []
    for parameters in PARAMETERS:
        tokens = of.tokens_per_parameter * parameters
        steps = ceil(tokens / of.step_tokens)
        kept = of.kept_checkpoints * of.checkpoint_bytes + of.model_bytes
        rows.append(
            (
                f"{parameters / 1e9:g} B",
                volume(parameters * of.checkpoint_bytes),
                volume(parameters * kept),
                count(tokens),
                count(tokens / of.tokens),
                count(steps),
                count(steps * of.metric_rows),
                volume(steps * of.event_bytes),
                count(6 * parameters * tokens / of.gpu_flops / 3600),
            )
        )
    heads = (
        *("parameters", "checkpoint", "on disk", "tokens to train on", "files that have them", "steps"),
        *("rows in MLflow", "metrics.jsonl", "GPU hours"),
    )
    return table(heads, rows)


def count(number: float) -> str:
    """Format a number to two digits, from a million on with the unit: 2.6 M."""
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= unit:
            return f"{number / unit:.2g} {name}" if number < 100 * unit else f"{number / unit:.0f} {name}"
    return f"{int(float(f'{number:.2g}')):,}" if number >= 10 else f"{number:.2g}"


def volume(size: float) -> str:
    """Format bytes to two digits."""
    for unit, name in ((TB, "TB"), (GB, "GB"), (MB, "MB"), (KB, "kB")):
        if size >= unit:
            return f"{size / unit:.2g} {name}" if size < 100 * unit else f"{size / unit:.0f} {name}"
    return f"{size:.0f} B"


def hours(seconds: float) -> str:
    """Format CPU time in the unit that suits it."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds:.0f} s"


def measured(lake: Path, dataset: str) -> dict[str, float]:
    """Return the constants of bytes of the newest version of a dataset, in a lake that has no other."""
    from infra.lake import Lake
    from tokenization.dataset import find_version

    version = find_version(Lake(lake), dataset)
    files, folder = version.description.files, version.path
    shards = sum(size_of(folder / split) for split in version.description.pieces)
    return {
        "files": files,
        "source_bytes": int(version.manifest["size"].sum()) / files,
        "parsed_bytes": size_of(lake / "pieces") / files,
        "facts_bytes": size_of(lake / "cache" / "facts") / files,
        "manifest_bytes": (folder / "manifest.parquet").stat().st_size / files,
        "shard_bytes": shards / files,
        "originality_bytes": size_of(folder / "originality") / files,
        "tokens": sum(version.description.tokens.values()) / files,
    }


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, metavar="LAKE", help="measure the bytes of a dataset in this lake")
    parser.add_argument("--dataset", help="its name")
    arguments = parser.parse_args(words)
    if arguments.measure:
        assumed = asdict(Constants())
        for name, value in measured(arguments.measure, arguments.dataset).items():
            beside = f"   (in the tables: {assumed[name]:,.0f})" if name in assumed else ""
            print(f"{name:20} {value:>12,.0f}{beside}")
        return
    print(collections(Constants()), networks(Constants()), sep="\n\n")


if __name__ == "__main__":
    main()
