"""Example pieces of the training split, decoded from the tokens of its shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from infra.object_store import Folder
from tokenization.dataset.shards import ORIGINAL, token_arrays
from tokenization.dataset.splits import TRAIN
from tokenization.dataset.version import DatasetVersion
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens

PIECES = 6
MOST_SHARDS = 6
"""Shards searched for examples; a version may have thousands."""
LABELS = ("piece_id", "style", *ORIGINAL)


@dataclass(frozen=True)
class Example:
    """A decoded piece with its source."""

    piece_id: str
    style: str | None
    tokens: int
    notes: Notes


def draw_examples(version: DatasetVersion) -> list[Example]:
    """Draw up to PIECES different pieces, seeded by the version's digest, of as many styles as possible.

    Augmented copies are drawn only where there is nothing else.
    """
    folder, encoding = version.folder, version.encoding
    random = np.random.default_rng(int(version.digest, 16))
    shards = list(version.shards(TRAIN))
    if not shards:
        return []
    some = sorted(random.choice(shards, min(len(shards), MOST_SHARDS), replace=False).tolist())
    rows = pl.concat([_labels(folder / path).with_columns(pl.lit(path).alias("path")) for path in some])
    plain = rows.filter(**ORIGINAL)
    rows = (plain if len(plain) else rows).unique("piece_id", keep="first", maintain_order=True)
    mixed = rows[random.permutation(len(rows))]
    turn = pl.int_range(pl.len()).over("style").alias("turn")  # the first of each style, then the second of each
    drawn = mixed.with_columns(turn).sort("turn", maintain_order=True).head(PIECES)
    examples = []
    for row in drawn.to_dicts():
        tokens = _tokens(folder / row["path"], row["row"])
        examples.append(Example(row["piece_id"], row["style"], len(tokens), encoding.decode(tokens)))
    return examples


def _labels(path: Folder) -> pl.DataFrame:
    """Read the rows of a shard without their tokens, numbered in the column `row`.

    `pyarrow.parquet.read_table` would import pandas, which takes a third of a second.
    """
    with path.open("rb") as source, pq.ParquetFile(source) as file:
        return pl.DataFrame(pl.from_arrow(file.read(columns=list(LABELS)))).with_row_index("row")


def _tokens(path: Folder, row: int) -> Tokens:
    """Read the tokens of one row; only its row group is read."""
    with path.open("rb") as source, pq.ParquetFile(source) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < first + rows:
                table: pa.Table = file.read_row_group(group, columns=["tokens"])
                return next(token_arrays(table.slice(row - first, 1)))
            first += rows
    raise IndexError(f"{path} has no row {row}")
