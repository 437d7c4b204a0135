"""Families: pieces of the same music, and the one that is kept of each."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import NAME, Status


@dataclass(frozen=True)
class Family:
    """Pieces that are versions of the same music."""

    kept: str
    """The best of them."""
    members: list[tuple[str, str, float | None]]
    """File, why it is a duplicate (or `accepted`), and the similarity of near ones to the kept piece."""


def families_of(version: DatasetVersion) -> list[Family]:
    """List the families with more than one member, the largest first."""
    rows = version.manifest.drop_nulls("family").with_columns(NAME.alias("file"))
    is_best = (pl.col("status") == Status.ACCEPTED) & (pl.col("sha256") == pl.col("family"))
    kept = rows.filter(is_best).select("family", kept_file="file")
    members = (
        rows.filter(~is_best)
        .group_by("family", maintain_order=True)
        .agg("file", pl.coalesce("reason", "status"), "similarity")
        .join(kept, on="family", how="left", maintain_order="left")
        .sort(-pl.col("file").list.len().cast(pl.Int64), "kept_file")
    )
    return [
        Family(row["kept_file"], list(zip(row["file"], row["reason"], row["similarity"])))
        for row in members.iter_rows(named=True)
    ]
