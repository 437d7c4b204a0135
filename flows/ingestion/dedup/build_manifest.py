"""Fates: every file is quarantined, a duplicate, or accepted with its family and split.

Whole columns at a time, so that ten million files are decided in the time it takes to sort them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.dedup.families import DEFAULT_THRESHOLD, Families, find_families
from flows.ingestion.dedup.splits import SplitShares, assign_splits
from flows.ingestion.sources.partitions import number_partitions
from tokenization.dataset.manifest import NAME, SCHEMA, Reason, Status
from tokenization.fingerprint import similarity
from tokenization.midi.score import Repair

Indices = NDArray[np.int64]


class Limits(BaseModel):
    """What a piece may be; anything beyond is quarantined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_notes: int = Field(16, ge=1)
    max_notes: int = Field(200_000, ge=1)
    max_seconds: float = Field(3600.0, gt=0)
    max_notes_per_second: float = Field(200.0, gt=0)
    """On average over the piece."""
    refused_repairs: tuple[Repair, ...] = ()
    """A file that had to be mended in one of these ways is not trusted."""


class Duplicates(BaseModel):
    """What counts as the same music."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    near: bool = True
    """Whether near-duplicates are looked for; equal bytes and equal notes always are."""
    threshold: float = Field(DEFAULT_THRESHOLD, gt=0, le=1)
    """Similarity from which two pieces are of one family: performances, arrangements and edits of the same music."""
    drop: float = Field(0.0, ge=0, le=1)
    """Similarity from which only the best of the alike pieces of a family stays. At 0 only the best of the whole
    family does; at 0.7 other performances of a piece stay, in the family's split, and mere edits go."""


def build_manifest(
    files: pl.DataFrame,
    facts: pl.DataFrame,
    limits: Limits,
    duplicates: Duplicates,
    shares: SplitShares,
    partition_files: int,
    inherited: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The manifest (columns of `manifest.SCHEMA`), rows in the order of `files`.

    `files`: `Inventory.files`. `facts`: `Store.facts` of their pieces. `inherited`: columns `sha256` and `split` of the
    version before, whose families stay where they are.

    Of files with the same bytes, or pieces with the same notes, the first in the order of collections and paths is
    kept. The best of near-duplicates is one that needed no repair, of several the one with the most notes, of
    several the first; it names the family.
    """
    table = files.join(facts, on="sha256", how="left", maintain_order="left", suffix="_read")
    found, detail = _quarantine(limits)
    table = table.with_columns(found.alias("reason"), detail.alias("detail"))
    good = pl.Series(table["reason"].is_null())
    same = _same_music(table, duplicates)
    duplicate = good & pl.Series(same.kept != np.arange(len(table)))
    kept, root = pl.Series(same.kept), pl.Series(same.root)
    names = table.select(NAME).to_series()
    manifest = table.with_columns(
        pl.when(good).then(pl.Series(same.reason, dtype=pl.String)).otherwise("reason").alias("reason"),
        pl.when(duplicate).then(names.gather(kept)).otherwise("detail").alias("detail"),
        pl.when(duplicate).then(table["sha256"].gather(kept)).alias("kept"),
        pl.when(good).then(table["sha256"].gather(root)).alias("family"),
        pl.when(~good)
        .then(pl.lit(str(Status.QUARANTINED)))
        .when(duplicate)
        .then(pl.lit(str(Status.DUPLICATE)))
        .otherwise(pl.lit(str(Status.ACCEPTED)))
        .alias("status"),
        _similarities(table["fingerprint"], same.first, same.root),
        number_partitions(files, partition_files),
    )
    splits = assign_splits(manifest.filter(good), shares, inherited)
    manifest = manifest.join(splits, on="family", how="left", maintain_order="left")
    return manifest.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def _quarantine(limits: Limits) -> tuple[pl.Expr, pl.Expr]:
    """Reason and detail of files that are not taken, null for the others."""
    density = pl.col("notes") / pl.max_horizontal("seconds", pl.lit(1.0))
    refused = pl.col("repairs").list.set_intersection([str(repair) for repair in limits.refused_repairs])
    rules: list[tuple[pl.Expr, Reason, pl.Expr]] = [
        (
            refused.list.len() > 0,
            Reason.REPAIRED,
            pl.format("had to be mended: {}", refused.list.sort().list.join(", ")),
        ),
        (
            pl.col("notes") < limits.min_notes,
            Reason.TOO_SHORT,
            pl.format("{} notes; the least is {}", "notes", pl.lit(limits.min_notes)),
        ),
        (
            pl.col("notes") > limits.max_notes,
            Reason.TOO_LONG,
            pl.format("{} notes; the limit is {}", "notes", pl.lit(limits.max_notes)),
        ),
        (
            pl.col("seconds") > limits.max_seconds,
            Reason.TOO_LONG,
            pl.format("{} s; the limit is {}", pl.col("seconds").round(1), pl.lit(f"{limits.max_seconds:g}")),
        ),
        (
            density > limits.max_notes_per_second,
            Reason.TOO_DENSE,
            pl.format("{} notes/s; the limit is {}", density.round(1), pl.lit(f"{limits.max_notes_per_second:g}")),
        ),
    ]
    reason = pl.coalesce("reason", "refusal")
    detail = pl.coalesce("detail", "detail_read")
    for holds, why, words in rules:
        free = reason.is_null() & holds.fill_null(False)
        detail = pl.when(free).then(words).otherwise(detail)
        reason = pl.when(free).then(pl.lit(str(why))).otherwise(reason)
    return reason, detail


@dataclass(frozen=True)
class _SameMusic:
    """For every row of a table, rows of the same music; a quarantined row stands for itself. Shape (n,) each."""

    first: Indices
    """The first with the same notes."""
    kept: Indices
    """The one that is kept in its stead."""
    root: Indices
    """The best of its family."""
    reason: list[str | None]
    """Why it is a duplicate, None where it is none."""


def _same_music(table: pl.DataFrame, duplicates: Duplicates) -> _SameMusic:
    good = table["reason"].is_null().to_numpy()
    everything = np.arange(len(table))
    by_bytes = _first_equal(table["sha256"], everything[good], len(table))
    first_bytes = everything[good & (by_bytes == everything)]
    by_notes = _first_equal(table["note_hash"], first_bytes, len(table))
    unique = first_bytes[by_notes[first_bytes] == first_bytes]
    kept, root = everything.copy(), everything.copy()
    if duplicates.near and len(unique):
        fingerprints = fingerprint_matrix(table["fingerprint"].gather(unique))
        families = find_families(fingerprints, duplicates.threshold)
        root[unique] = unique[_best(table[unique], families)]
        alike = families
        if duplicates.drop > duplicates.threshold:
            alike = find_families(fingerprints, duplicates.drop)
        kept[unique] = unique[_best(table[unique], alike)]

    reason = np.full(len(table), None, object)
    reason[unique[kept[unique] != unique]] = str(Reason.NEAR_DUPLICATE)
    reason[first_bytes[by_notes[first_bytes] != first_bytes]] = str(Reason.SAME_NOTES)
    reason[good & (by_bytes != everything)] = str(Reason.SAME_BYTES)
    first = by_notes[by_bytes]
    return _SameMusic(first, kept[first], root[first], reason.tolist())


def _first_equal(keys: pl.Series, rows: Indices, size: int) -> Indices:
    """For each of `rows` the first of them with an equal key; every other row stands for itself."""
    first = np.arange(size)
    frame = pl.DataFrame({"key": keys.gather(rows), "row": rows})
    first[rows] = frame.select(pl.col("row").min().over("key")).to_series().to_numpy()
    return first


def fingerprint_matrix(column: pl.Series) -> NDArray[np.uint32]:
    """Fingerprints of the store, shape (n, SIZE)."""
    return np.frombuffer(b"".join(column.to_list()), np.uint32).reshape(len(column), -1)


def _best(pieces: pl.DataFrame, families: Families) -> Indices:
    """For each piece the position of the member that its family keeps."""
    frame = pieces.select(
        pl.Series("label", families.label),
        (pl.col("repairs").list.len() > 0).alias("mended"),
        -pl.col("notes").alias("fewness"),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("position"),
    )
    best = pl.col("position").sort_by("mended", "fewness", "position").first().over("label")
    return frame.select(best).to_series().to_numpy()


def _similarities(fingerprints: pl.Series, first: Indices, root: Indices) -> pl.Series:
    """Similarity of each piece to the best of its family; null for that one itself and what has the same notes."""
    values = np.full(len(first), np.nan, np.float32)
    rows = np.flatnonzero(first != root)
    if len(rows):
        own, best = fingerprints.gather(first[rows]), fingerprints.gather(root[rows])
        values[rows] = similarity(fingerprint_matrix(own), fingerprint_matrix(best))
    return pl.Series("similarity", values).fill_nan(None)
