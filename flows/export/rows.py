"""The rows of a version as other software takes them: tokens as lists, and each piece with its source and licence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import ACCEPTED
from tokenization.dataset.shards import TOKEN_TYPE, TokenFormat, read_shard

SOURCE = ("collection", "path", "licence", "notes", "seconds", "tempo")
"""Columns of the manifest that each row carries."""
OLDEST = pl.CompatLevel.oldest()


def shard_tables(version: DatasetVersion, split: str) -> Iterator[pa.Table]:
    """Yield the shards of a split, in order: their columns, those of SOURCE, and `tokens` as lists of uint16.

    Raises ShardError for a damaged shard.
    """
    accepted = version.manifest.filter(ACCEPTED)
    sources = accepted.select(pl.col("sha256").alias("piece_id"), *SOURCE)
    token_format = TokenFormat.of(version.encoding)
    for path in version.description.shards_of(split):
        table = read_shard(version.path / path, token_format)
        labels = pl.DataFrame(pl.from_arrow(table.drop_columns(["tokens"])))
        joined = labels.join(sources, on="piece_id", how="left", maintain_order="left")
        yield joined.to_arrow(compat_level=OLDEST).append_column("tokens", token_lists(table.column("tokens")))


def token_lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of token bytes as lists of uint16, without a loop over rows."""
    chunks = []
    for chunk in column.chunks:
        _, offsets_buffer, data = chunk.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        begin, end = (int(edge) // TOKEN_TYPE.itemsize for edge in (offsets[0], offsets[-1]))
        tokens = np.frombuffer(data, TOKEN_TYPE)[begin:end] if data is not None else np.zeros(0, TOKEN_TYPE)
        bounds = pa.array((offsets - offsets[0]) // TOKEN_TYPE.itemsize, pa.int32())
        chunks.append(pa.ListArray.from_arrays(bounds, pa.array(tokens, pa.uint16())))
    return pa.chunked_array(chunks, pa.list_(pa.uint16()))
