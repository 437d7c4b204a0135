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
from tokenization.dataset.manifest import FILE, NAME, SCHEMA, Status


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
    facts = facts.rechunk().drop("part", "row", strict=False)  # of one chunk a join refers to fingerprints, else copies
    table = files.join(facts, on="sha256", how="left", maintain_order="left", suffix="_parsed")
    del facts
    table = quarantine(table, limits)
    good = pl.Series(table["reason"].is_null())
    equal = find_equal_music(table, duplicates, tested)
    duplicate = good & pl.Series(equal.kept != np.arange(len(table)))
    kept, root, linked = pl.Series(equal.kept), pl.Series(equal.root), pl.Series(equal.linked)
    table = table.drop("fingerprint", "note_hash", "refusal", "detail_parsed")
    names = table.select(FILE).gather(kept.filter(duplicate)).select(NAME).to_series()
    table = table.with_columns(detail=table["detail"].scatter(duplicate.arg_true(), names))
    manifest = table.with_columns(
        pl.when(good).then(pl.Series(equal.reason, dtype=pl.String)).otherwise("reason").alias("reason"),
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
    splits = assign_splits(manifest.select("sha256", "family", "style").filter(good), shares, inherited)
    split = manifest.select("family").join(splits, on="family", how="left", maintain_order="left")["split"]
    return manifest.with_columns(split).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
