"""Ingest a folder of MIDI files and look at what became of each.

python examples/ingest_and_inspect.py ~/midi --name mine
"""

from __future__ import annotations

import argparse

import polars as pl

import musenet


def main() -> None:
    parser = argparse.ArgumentParser(description="Ingest a folder of MIDI files and look at the result.")
    parser.add_argument("folder", help="MIDI files; the first folder below it names their style")
    parser.add_argument("--name", default="mine", help="the dataset")
    parser.add_argument("--lake", help="folder that everything is written to (default ./lake)")
    arguments = parser.parse_args()

    report = musenet.ingest(arguments.folder, name=arguments.name, lake=arguments.lake)
    version = report.version
    print(f"{version}{' (reused)' if report.reused else ''}: {version.folder}")

    # Every input file has a row in the manifest.
    manifest = version.manifest
    print(manifest.group_by("status", "reason").len().sort("len", descending=True))

    refused = manifest.filter(pl.col("status") == "quarantined")
    for path, reason, detail in refused.select("path", "reason", "detail").iter_rows():
        print(f"refused: {path}: {reason} ({detail})")

    accepted = manifest.filter(pl.col("status") == "accepted")
    print(accepted.group_by("style", "split").agg(pl.len(), pl.col("notes").sum()).sort("style", "split"))


if __name__ == "__main__":
    main()
