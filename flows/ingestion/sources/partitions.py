"""Partitions of an inventory: runs of files, the unit of parsing, publishing and repetition.

In the first version of a dataset boundaries follow from the files themselves (content-defined chunking, as in rsync
and backup tools): a file whose SHA-256 begins with a small enough number opens a new partition. So a file that is
added or removed changes its own partition and no other.

A later version keeps its parent's partitions and puts all new files into partitions behind them, as a log-structured
merge tree does, so that what a small addition costs depends on the addition, wherever its files lie. Partitions that
came out small are merged once there are many.
"""

from __future__ import annotations

import polars as pl

HASH_SPACE = 16**8
SMALL = 16
"""A partition is small with fewer files than the wanted size divided by this."""
MOST_SMALL = 8
"""Small partitions that a dataset may have before they are merged."""


def assign_partitions(files: pl.DataFrame, size: int, inherited: pl.DataFrame | None) -> pl.Series:
    """Return the partition of each file; `size` files each on average.

    `files` has columns `collection` and `sha256`. `inherited`: columns `sha256` and `partition` of the parent version,
    None if there is none. A file whose bytes the parent had keeps its partition, unless that is merged with other
    small ones; the others are divided by content, as if they were alone, so that shards that any version made of
    them are found again. New partitions are numbered on from the parent's. A file that cannot be read (null) belongs
    to the partition of its neighbour.
    """
    if inherited is None or inherited.is_empty():
        return number_partitions(files, size)
    before = inherited.drop_nulls().group_by("sha256").agg(pl.col("partition").min())
    kept = files.select("sha256").join(before, on="sha256", how="left", maintain_order="left")
    sizes = kept.drop_nulls("partition").group_by("partition").len()
    small = sizes.filter(pl.col("len") < size // SMALL)
    small = small if len(small) > MOST_SMALL else small.clear()
    merged = pl.col("partition").is_in(small["partition"].implode())
    new = (pl.col("sha256").is_not_null() & pl.col("partition").is_null()).alias("new")
    kept = kept.select("partition", merged.fill_null(False).alias("merged"), new, pl.int_range(pl.len()).alias("row"))
    first = int(inherited["partition"].max() or 0) + 1  # type: ignore[arg-type]
    together = kept.filter("merged")
    parts = -(-len(together) // size)
    together = together.select("row", number=first + pl.int_range(pl.len()) * parts // max(len(together), 1))
    rows = kept.filter("new").select("row")
    added = rows.with_columns((number_partitions(files[rows["row"]], size) + first + parts).alias("number"))
    moved = kept.join(pl.concat([together, added]), on="row", how="left", maintain_order="left")
    numbers = moved.select(pl.coalesce("number", "partition").alias("partition")).to_series()
    return numbers.fill_null(strategy="forward").fill_null(strategy="backward").fill_null(0)


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
