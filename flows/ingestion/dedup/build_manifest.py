"""The manifest of a dataset version: every file is quarantined, a duplicate, or accepted with its family and split.

Whole columns are processed at a time, so that ten million files take about as long as sorting them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from flows.ingestion.dedup.equal_music import Duplicates, find_equal_music
from flows.ingestion.dedup.quarantine import Limits, quarantine
from flows.ingestion.dedup.splits import SplitShares, assign_splits
from tokenization.dataset.manifest import NAME, SCHEMA, Status


def build_manifest(
    files: pl.DataFrame,
    facts: pl.DataFrame,
    limits: Limits,
    duplicates: Duplicates,
    shares: SplitShares,
    inherited: pl.DataFrame | None = None,
    tested: Path | None = None,
) -> pl.DataFrame:
    """Return the manifest (columns of `manifest.SCHEMA`), rows in the order of `files`.

    `files`: `Inventory.files` with the column `partition`. `facts`: `Store.facts` of their pieces. `inherited`: columns
    `sha256` and `split` of the parent version, whose families keep their splits. `tested`: the file that keeps
    tested pairs from one ingestion to the next.

    Of files with the same bytes, pieces with the same notes, and duplicates the preferred one is kept (see
    `find_equal_music`); the preferred piece of a family names it.
    """
    table = files.join(facts, on="sha256", how="left", maintain_order="left", suffix="_parsed")
    table = quarantine(table, limits)
    good = pl.Series(table["reason"].is_null())
    equal = find_equal_music(table, duplicates, tested)
    duplicate = good & pl.Series(equal.kept != np.arange(len(table)))
    kept, root, linked = pl.Series(equal.kept), pl.Series(equal.root), pl.Series(equal.linked)
    names = table.select(NAME).to_series()
    manifest = table.with_columns(
        pl.when(good).then(pl.Series(equal.reason, dtype=pl.String)).otherwise("reason").alias("reason"),
        pl.when(duplicate).then(names.gather(kept)).otherwise("detail").alias("detail"),
        pl.when(duplicate).then(table["sha256"].gather(kept)).alias("kept"),
        pl.when(good).then(table["sha256"].gather(root)).alias("family"),
        pl.when(~good)
        .then(pl.lit(str(Status.QUARANTINED)))
        .when(duplicate)
        .then(pl.lit(str(Status.DUPLICATE)))
        .otherwise(pl.lit(str(Status.ACCEPTED)))
        .alias("status"),
        pl.when(linked >= 0).then(table["sha256"].gather(linked.clip(0))).alias("linked"),
        pl.Series("relation", equal.relation, pl.String),
        pl.Series("similarity", equal.similarity).fill_nan(None),
        pl.Series("evidence", equal.evidence).fill_nan(None),
    )
    splits = assign_splits(manifest.filter(good), shares, inherited)
    manifest = manifest.join(splits, on="family", how="left", maintain_order="left")
    return manifest.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
