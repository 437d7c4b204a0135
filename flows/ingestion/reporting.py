"""A dataset version in words: for Prefect's artifact and for the terminal."""

from __future__ import annotations

from flows.ingestion.publishing import DatasetVersion


def markdown(version: DatasetVersion) -> str:
    """What a version holds and what became of every file, as Markdown."""
    about = version.description
    lines = [f"# Dataset {version.name}", "", f"Digest `{version.digest}`, folder `{version.folder}`.", ""]
    lines += ["| fate of a file | files |", "|---|---:|"]
    lines += [f"| {fate} | {count:,} |" for fate, count in about["fates"].items()]
    lines += ["", "| split | pieces | tokens |", "|---|---:|---:|"]
    lines += [f"| {split} | {about['pieces'][split]:,} | {about['tokens'][split]:,} |" for split in about["pieces"]]
    lines += ["", "| style | pieces |", "|---|---:|"]
    lines += [f"| {style} | {count:,} |" for style, count in about["styles"].items()]
    lines += ["", f"{about['notes']:,} notes, {about['hours']:.1f} hours. Licences: {', '.join(about['licences'])}."]
    return "\n".join(lines) + "\n"
