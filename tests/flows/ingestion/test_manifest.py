"""The manifest: every file with its fate, in Parquet that polars and DuckDB open."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flows.ingestion.manifest import SCHEMA, Entry, Reason, Status, fates, read_manifest, write_manifest
from tokenization.midi import Unreadable

GOOD = Entry(
    "bach/1.mid",
    "chorales",
    "ab" * 32,
    1234,
    "CC0",
    "bach",
    Status.ACCEPTED,
    family="ab" * 32,
    split="train",
    notes=99,
    seconds=12.5,
    programs=(0, 40),
    drums=False,
)
BROKEN = Entry("broken.mid", "chorales", "cd" * 32, 7, "CC0", None, Status.ACCEPTED).quarantined(
    Reason.TRUNCATED, "7 bytes are less than a header"
)
UNREADABLE = Entry("x.mid", "chorales", None, 0, "CC0", None, Status.QUARANTINED, Reason.UNREADABLE_FILE)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.parquet", [GOOD, BROKEN, UNREADABLE])
    frame = read_manifest(tmp_path / "manifest.parquet")
    assert frame.columns == SCHEMA.names
    first, second, third = frame.to_dicts()
    assert first == {
        "path": "bach/1.mid",
        "collection": "chorales",
        "sha256": "ab" * 32,
        "size": 1234,
        "licence": "CC0",
        "style": "bach",
        "status": "accepted",
        "reason": None,
        "detail": None,
        "family": "ab" * 32,
        "split": "train",
        "notes": 99,
        "seconds": 12.5,
        "programs": [0, 40],
        "drums": False,
    }
    assert (second["status"], second["reason"], second["detail"]) == (
        "quarantined",
        "truncated",
        "7 bytes are less than a header",
    )
    assert second["family"] is second["split"] is second["notes"] is None
    assert third["sha256"] is None


def test_the_question_why_is_this_file_not_in_it(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.parquet", [GOOD, BROKEN])
    why = pl.scan_parquet(tmp_path / "manifest.parquet").filter(pl.col("path") == "broken.mid").select("reason")
    assert why.collect().item() == "truncated"


def test_an_empty_manifest_keeps_its_columns(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.parquet", [])
    assert read_manifest(tmp_path / "manifest.parquet").columns == SCHEMA.names


def test_fates_are_counted_with_their_reasons() -> None:
    assert fates([GOOD, BROKEN, GOOD, UNREADABLE]) == {
        "accepted": 2,
        "quarantined: truncated": 1,
        "quarantined: unreadable_file": 1,
    }


def test_every_refusal_of_the_reader_is_on_the_list() -> None:
    assert {reason.value for reason in Unreadable} < {reason.value for reason in Reason}
