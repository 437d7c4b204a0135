"""The manifest: one row per source file ever seen, with its outcome.

It is the record of an ingestion; Prefect's database may be deleted at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from infra.object_store import Folder
from tokenization.dataset.splits import SPLITS

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


SHA256 = r"^[0-9a-f]{64}$"
QUARANTINE_REASONS = tuple(
    reason for reason in Reason if reason not in (Reason.SAME_BYTES, Reason.SAME_NOTES, Reason.NEAR_DUPLICATE)
)
"""The reasons of quarantined files; all others are those of duplicates."""


@dataclass(frozen=True)
class Column:
    """A column of the manifest, with the limits on its values."""

    name: str
    kind: pl.DataType
    content: str
    """Its meaning, in Markdown."""
    nullable: bool = True
    values: tuple[str, ...] = ()
    """All values there are; empty where any value may occur."""
    pattern: str | None = None
    """A regular expression that values match."""
    least: float | None = None
    most: float | None = None


COLUMNS = (
    Column("path", pl.String(), "path in the collection, with forward slashes", nullable=False),
    Column("collection", pl.String(), "name of the collection", nullable=False),
    Column("sha256", pl.String(), "of the bytes; null if they could not be read", pattern=SHA256),
    Column("size", pl.Int64(), "bytes", nullable=False, least=0),
    Column("licence", pl.String(), "its SPDX name where there is one", nullable=False),
    Column("stated_licence", pl.String(), "as the collection states it; null where that is the same"),
    Column("style", pl.String(), "label of composer or genre"),
    Column("status", pl.String(), "the outcome", nullable=False, values=tuple(Status)),
    Column("reason", pl.String(), "why it is not in the shards", values=tuple(Reason)),
    Column("detail", pl.String(), "the finding behind the reason; of a duplicate the file that was kept"),
    Column("kept", pl.String(), "of a duplicate: SHA-256 of the file that was kept", pattern=SHA256),
    Column("family", pl.String(), "SHA-256 of the preferred piece of the family", pattern=SHA256),
    Column(
        "linked",
        pl.String(),
        "SHA-256 of the piece by which it belongs to the family; null for the preferred piece",
        pattern=SHA256,
    ),
    Column("relation", pl.String(), "to that piece", values=("duplicate", "related")),
    Column(
        "similarity",
        pl.Float32(),
        "share of the smaller of the two that is in the other; null for equal bytes or notes",
        least=0,
        most=1,
    ),
    Column(
        "evidence",
        pl.Float32(),
        "what the two have in common, in features that no other piece has; null as `similarity`",
        least=0,
    ),
    Column("split", pl.String(), "the split of its family", values=SPLITS),
    Column("notes", pl.Int64(), "notes and drum hits", least=0),
    Column("seconds", pl.Float64(), "length", least=0),
    Column("tempo", pl.Float64(), "quarter notes per minute", least=0),
    Column("programs", pl.List(pl.UInt8()), "General MIDI programs of the pitched notes"),
    Column("drums", pl.Boolean(), "true if it has drum hits"),
    Column("repairs", pl.List(pl.String()), "what was repaired to read it"),
    Column(
        "partition",
        pl.Int64(),
        "files that are read and published together; kept by later versions",
        nullable=False,
        least=0,
    ),
)
"""The columns in order. `contract` checks them; docs/contracts.md shows them."""
SCHEMA: dict[str, pl.DataType] = {column.name: column.kind for column in COLUMNS}


FILE = ("collection", "path")
"""The columns that identify a file."""
NAME = pl.concat_str(*FILE, separator="/")
"""The name of a file across collections: `collection/path`."""
ACCEPTED = pl.col("status") == Status.ACCEPTED
"""True for the files that are in the shards."""
OUTCOME = pl.concat_str("status", "reason", separator=": ", ignore_nulls=True)
"""`accepted`, `duplicate: same_bytes`, `quarantined: no_notes`, …"""


def write_manifest(path: Folder, manifest: pl.DataFrame) -> None:
    """Write a manifest, its columns and types as in SCHEMA. Not atomic: write into a staging folder."""
    rows = manifest.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    with path.open("wb") as file:
        rows.write_parquet(file, compression="zstd", compression_level=1)  # hashes do not get smaller by more effort


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
    accepted = manifest.filter(ACCEPTED)
    return dict(accepted.group_by("licence").len().sort("licence").iter_rows())
