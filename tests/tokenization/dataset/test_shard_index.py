"""`shards.parquet`: the shards of a version with the keys by which later versions reuse them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tokenization.dataset.shard_index import SHARD_INDEX_SCHEMA, ShardEntry, parse_shard_index, write_shard_index

ENTRIES = [
    ShardEntry("test/00000.parquet", "k0", "a" * 64, 3, 300, '{"pieces": 3, "tempo": [1]}', 1),
    ShardEntry("train/00000.parquet", "k1", "b" * 64, 0, 0, "{}"),
]


def test_entries_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_shard_index(tmp_path, ENTRIES)
    assert parse_shard_index((tmp_path / "shards.parquet").read_bytes()) == ENTRIES


def test_columns_and_types_are_always_the_same(tmp_path: Path) -> None:
    for entries in (ENTRIES, []):
        write_shard_index(tmp_path, entries)
        assert pl.read_parquet(tmp_path / "shards.parquet").schema == pl.Schema(SHARD_INDEX_SCHEMA)
