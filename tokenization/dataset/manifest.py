"""The manifest: one row per source file ever seen, with its outcome.

It is the record of an ingestion; Prefect's database may be deleted at any time.
"""

from __future__ import annotations

from enum import StrEnum

import polars as pl

from infra.object_store import Folder

MANIFEST_FILE = "manifest.parquet"


class Status(StrEnum):
    """The outcome of a file."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class Reason(StrEnum):
    """The reason for which a file is not in the shards. The list is closed."""

    NOT_MIDI = "not_midi"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NO_NOTES = "no_notes"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    TOO_DENSE = "too_dense"
    UNSUPPORTED_TIMING = "unsupported_timing"
    UNREADABLE_FILE = "unreadable_file"
    UNREADABLE_ARCHIVE = "unreadable_archive"
    LICENCE = "licence"
    """The settings do not allow its licence."""
    REPAIRED = "repaired"
    """It needed a repair that the settings refuse."""
    PARSER_CRASHED = "parser_crashed"
    TIMED_OUT = "timed_out"
    SAME_BYTES = "same_bytes"
    SAME_NOTES = "same_notes"
    NEAR_DUPLICATE = "near_duplicate"


SCHEMA: dict[str, pl.DataType] = {
    "path": pl.String(),  # relative to the collection, with forward slashes: the same on every machine
    "collection": pl.String(),
    "sha256": pl.String(),  # null only for a file whose bytes could not be read
    "size": pl.Int64(),
    "licence": pl.String(),  # its SPDX name where there is one
    "stated_licence": pl.String(),  # as the collection states it; null where that is the same
    "style": pl.String(),
    "status": pl.String(),
    "reason": pl.String(),
    "detail": pl.String(),  # the finding behind the reason; for duplicates collection and path of the kept file
    "kept": pl.String(),  # for duplicates the SHA-256 of the kept file
    "similarity": pl.Float32(),  # to the best piece of its family
    "family": pl.String(),  # SHA-256 of the family's best piece
    "split": pl.String(),
    "notes": pl.Int64(),
    "seconds": pl.Float64(),
    "tempo": pl.Float64(),  # quarter notes a minute
    "programs": pl.List(pl.UInt8()),  # General MIDI programs of the pitched notes
    "drums": pl.Boolean(),
    "repairs": pl.List(pl.String()),  # repairs that reading it needed
    "partition": pl.Int64(),  # number of the run of neighbouring files that share its shards
}


FILE = ("collection", "path")
"""The columns that identify a file."""
NAME = pl.concat_str(*FILE, separator="/")
"""The name of a file across collections: `collection/path`."""
OUTCOME = pl.concat_str("status", "reason", separator=": ", ignore_nulls=True)
"""`accepted`, `duplicate: same_bytes`, `quarantined: no_notes`, …"""


def write_manifest(path: Folder, manifest: pl.DataFrame) -> None:
    """Write a manifest, its columns and types as in SCHEMA. Not atomic: write into a staging folder."""
    rows = manifest.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    with path.open("wb") as file:
        rows.write_parquet(file, compression="zstd")


def read_manifest(path: Folder) -> pl.DataFrame:
    """Read a manifest, columns as in SCHEMA; those that an earlier release did not write are null."""
    with path.open("rb") as file:
        found = pl.read_parquet(file)
    later = [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in found.columns]
    return found.with_columns(later).select(*SCHEMA)


def outcome_counts(manifest: pl.DataFrame) -> dict[str, int]:
    """Count files by OUTCOME, in alphabetical order."""
    return dict(manifest.select(OUTCOME.alias("outcome")).group_by("outcome").len().sort("outcome").iter_rows())


def licence_counts(manifest: pl.DataFrame) -> dict[str, int]:
    """Count accepted pieces by licence, in alphabetical order."""
    accepted = manifest.filter(pl.col("status") == Status.ACCEPTED)
    return dict(accepted.group_by("licence").len().sort("licence").iter_rows())
