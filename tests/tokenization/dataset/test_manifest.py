"""The manifest: every file with its outcome, in Parquet that polars and DuckDB open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tokenization.dataset.manifest import SCHEMA, Reason, Status, outcome_counts, read_manifest, write_manifest
from tokenization.midi import Unreadable

GOOD: dict[str, Any] = {
    "path": "bach/1.mid",
    "collection": "chorales",
    "sha256": "ab" * 32,
    "size": 1234,
    "licence": "CC0-1.0",
    "stated_licence": "CC0",
    "style": "bach",
    "status": "accepted",
    "reason": None,
    "detail": None,
    "kept": None,
    "family": "ab" * 32,
    "linked": None,
    "relation": None,
    "similarity": None,
    "evidence": None,
    "split": "train",
    "notes": 99,
    "seconds": 12.5,
    "tempo": 120.0,
    "programs": [0, 40],
    "drums": False,
    "repairs": ["truncated"],
    "partition": 0,
}
BROKEN: dict[str, Any] = {
    **dict.fromkeys(SCHEMA),
    "path": "broken.mid",
    "collection": "chorales",
    "sha256": "cd" * 32,
    "size": 7,
    "licence": "CC0",
    "status": "quarantined",
    "reason": "truncated",
    "detail": "7 bytes are less than a header",
    "partition": 0,
}
UNREADABLE = {**BROKEN, "path": "x.mid", "sha256": None, "size": 0, "reason": "unreadable_file"}


def manifest(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.parquet", manifest(GOOD, BROKEN, UNREADABLE))
    frame = read_manifest(tmp_path / "manifest.parquet")
    assert frame.schema == pl.Schema(SCHEMA)
    assert frame.to_dicts() == [GOOD, BROKEN, UNREADABLE]


def test_columns_that_an_earlier_release_did_not_write_are_null(tmp_path: Path) -> None:
    manifest(GOOD).drop("stated_licence").write_parquet(tmp_path / "manifest.parquet")
    frame = read_manifest(tmp_path / "manifest.parquet")
    assert frame.schema == pl.Schema(SCHEMA)
    assert frame.to_dicts() == [{**GOOD, "stated_licence": None}]


def test_columns_and_types_are_always_the_same(tmp_path: Path) -> None:
    frame = manifest(GOOD).select(pl.all().reverse()).select(sorted(SCHEMA)).with_columns(pl.col("size").cast(pl.Int16))
    write_manifest(tmp_path / "manifest.parquet", frame.with_columns(pl.lit("more").alias("more")))
    assert read_manifest(tmp_path / "manifest.parquet").schema == pl.Schema(SCHEMA)
    write_manifest(tmp_path / "empty.parquet", manifest())
    assert read_manifest(tmp_path / "empty.parquet").schema == pl.Schema(SCHEMA)


def test_the_question_why_is_this_file_not_in_it(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.parquet", manifest(GOOD, BROKEN))
    why = pl.scan_parquet(tmp_path / "manifest.parquet").filter(pl.col("path") == "broken.mid").select("reason")
    assert why.collect().item() == "truncated"


def test_outcomes_are_counted_with_their_reasons() -> None:
    assert outcome_counts(manifest(GOOD, BROKEN, GOOD, UNREADABLE)) == {
        "accepted": 2,
        "quarantined: truncated": 1,
        "quarantined: unreadable_file": 1,
    }
    assert outcome_counts(manifest()) == {}


def test_every_refusal_of_the_reader_is_on_the_list() -> None:
    assert {reason.value for reason in Unreadable} < {reason.value for reason in Reason}
    assert {status.value for status in Status} == {"accepted", "duplicate", "quarantined"}
