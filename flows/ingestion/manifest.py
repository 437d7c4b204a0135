"""The manifest: one row per source file ever seen, with its fate. It is the truth; Prefect's database is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


class Status(StrEnum):
    """What became of a file."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class Reason(StrEnum):
    """Why a file is not in the shards. The list is closed."""

    NOT_MIDI = "not_midi"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NO_NOTES = "no_notes"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_DENSE = "too_dense"
    UNSUPPORTED_TIMING = "unsupported_timing"
    UNREADABLE_FILE = "unreadable_file"
    PARSER_CRASHED = "parser_crashed"
    TIMED_OUT = "timed_out"
    SAME_BYTES = "same_bytes"
    SAME_NOTES = "same_notes"


SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("collection", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("style", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("family", pa.string()),
        pa.field("split", pa.string()),
        pa.field("notes", pa.int64()),
        pa.field("seconds", pa.float64()),
        pa.field("programs", pa.list_(pa.uint8())),
        pa.field("drums", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Entry:
    """One source file and its fate."""

    path: str
    """Relative to the collection, with forward slashes: the same on every machine."""
    collection: str
    sha256: str | None
    """None only for a file whose bytes could not be read."""
    size: int
    licence: str
    style: str | None
    status: Status
    reason: Reason | None = None
    detail: str | None = None
    """What exactly was found; for duplicates the path of the kept file."""
    family: str | None = None
    """SHA-256 of the family's kept member."""
    split: str | None = None
    notes: int | None = None
    seconds: float | None = None
    programs: tuple[int, ...] | None = None
    """General MIDI programs of the pitched notes."""
    drums: bool | None = None

    def quarantined(self, reason: Reason, detail: str) -> Entry:
        return replace(self, status=Status.QUARANTINED, reason=reason, detail=detail)


def write_manifest(path: Path, entries: Sequence[Entry]) -> None:
    """Write the manifest. Not atomic: write into a staging folder."""
    pq.write_table(pa.Table.from_pylist([asdict(entry) for entry in entries], schema=SCHEMA), path, compression="zstd")


def read_manifest(path: Path) -> pl.DataFrame:
    """The manifest as a polars frame, columns as in SCHEMA."""
    return pl.read_parquet(path)


def fates(entries: Sequence[Entry]) -> dict[str, int]:
    """How many files had each fate: `accepted`, `duplicate: same_bytes`, `quarantined: no_notes`, …"""
    counts = Counter(f"{entry.status}: {entry.reason}" if entry.reason else str(entry.status) for entry in entries)
    return dict(sorted(counts.items()))
