"""Dry run: what an ingestion would read and publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from flows.ingestion.context import IngestContext
from flows.ingestion.parameters import IngestParameters
from flows.ingestion.pipeline import reusable_version, scan_collections, unparsed_files
from flows.ingestion.sources import Progress
from tokenization.dataset.manifest import NAME, Reason


@dataclass(frozen=True)
class DryRun:
    """The plan of an ingestion."""

    collections: list[dict[str, Any]]
    """Name, files, bytes, styles, licences, files whose licence is not allowed, suffixes left out, labels of no file,
    of each."""
    files: int
    unparsed: int
    """Different files that no earlier run has parsed."""
    unreadable: list[tuple[str, str]]
    """Files whose bytes cannot be read, and the reason."""
    version: str | None
    """The version that would be reused because nothing has changed."""


def dry_run(parameters: IngestParameters, progress: Progress) -> DryRun:
    """Plan an ingestion without running it. Raises UserError as the ingestion would."""
    context = IngestContext.resolve(parameters)
    inventory = scan_collections(context, progress, remember=False)
    known = reusable_version(context, inventory)
    _, lacking = unparsed_files(context, inventory)
    summary = inventory.files.group_by("collection", maintain_order=True).agg(
        pl.len().alias("files"),
        pl.col("size").sum().alias("bytes"),
        pl.col("style").fill_null("(none)").value_counts(sort=True).alias("styles"),
        pl.col("licence").value_counts(sort=True).alias("licences"),
        (pl.col("reason") == Reason.LICENCE).sum().alias("not_allowed"),
    )
    collections = [
        {
            **row,
            "styles": {style["style"]: style["count"] for style in row["styles"]},
            "licences": {licence["licence"]: licence["count"] for licence in row["licences"]},
            "ignored": inventory.ignored.get(row["collection"], {}),
            "unused_labels": inventory.unused_labels.get(row["collection"], {}),
        }
        for row in summary.iter_rows(named=True)
    ]
    broken = inventory.files.filter(pl.col("reason") != Reason.LICENCE).select(NAME.alias("file"), "detail")
    return DryRun(
        collections, len(inventory.files), len(lacking), list(broken.iter_rows()), str(known) if known else None
    )
