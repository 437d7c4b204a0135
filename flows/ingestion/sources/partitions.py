"""Partitions of an inventory: runs of neighbouring files, the unit of parsing, publishing and repetition.

Boundaries follow from the files themselves (content-defined chunking, as in rsync and backup tools): a file whose
SHA-256 begins with a small enough number opens a new partition. So a file that is added or removed changes its own
partition and no other.
"""

from __future__ import annotations

import polars as pl

HASH_SPACE = 16**8


def number_partitions(files: pl.DataFrame, size: int) -> pl.Series:
    """Return the partition of each file, numbered from 0 in the order of the rows; `size` files each on average.

    `files` has columns `collection` and `sha256` (null: opens no partition). A collection begins a new one.
    """
    draw = pl.col("sha256").str.slice(0, 8).str.to_integer(base=16, dtype=pl.Int64)
    opens = (draw < HASH_SPACE // size).fill_null(False) | (
        pl.col("collection") != pl.col("collection").shift()
    ).fill_null(True)
    number = files.select((opens.cum_sum().cast(pl.Int64) - 1).alias("partition"))
    return number.to_series()
