"""Families: pieces of the same or related music, and what links them."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import ACCEPTED, NAME


@dataclass(frozen=True)
class Member:
    """A file of a family besides the preferred one."""

    file: str
    outcome: str
    """The reason for which it is a duplicate, or `accepted`."""
    relation: str
    """To the file by which it belongs to the family: `duplicate` or `related`."""
    linked: str
    similarity: float | None
    """Share of the smaller of the two that is in the other; None for equal bytes or notes."""
    evidence: float | None
    """What they have in common, in features that no other piece has."""


@dataclass(frozen=True)
class Family:
    """Pieces that have music in common."""

    best: str
    """The preferred one."""
    members: list[Member]

    @property
    def weakest(self) -> float | None:
        """Evidence × similarity of the weakest link; None if all members are equal."""
        strengths = [
            member.evidence * member.similarity
            for member in self.members
            if member.evidence is not None and member.similarity is not None
        ]
        return min(strengths, default=None)


def families_of(version: DatasetVersion) -> list[Family]:
    """List the families with more than one member, the largest first."""
    rows = version.manifest.drop_nulls("family").with_columns(NAME.alias("file"))
    accepted = rows.filter(ACCEPTED).select("file", "sha256")
    is_best = ACCEPTED & (pl.col("sha256") == pl.col("family"))
    best = rows.filter(is_best).select("family", best="file")
    # A link leads to a kept piece or to a near-duplicate; of files with its bytes or notes the first names it.
    named = pl.concat([accepted, rows.select("file", "sha256")]).unique("sha256", keep="first", maintain_order=True)
    fields = (
        "file",
        pl.coalesce("reason", "status").alias("outcome"),
        "relation",
        "linked_file",
        pl.col("similarity").cast(pl.Float64),
        pl.col("evidence").cast(pl.Float64),
    )
    members = (
        rows.filter(~is_best)
        .join(named.select(linked="sha256", linked_file="file"), on="linked", how="left", maintain_order="left")
        .group_by("family", maintain_order=True)
        .agg(pl.struct(fields).alias("members"))
        .join(best, on="family", how="left", maintain_order="left")
        .sort(-pl.col("members").list.len().cast(pl.Int64), "best")
    )
    return [
        Family(row["best"], [Member(*member.values()) for member in row["members"]])
        for row in members.iter_rows(named=True)
    ]
