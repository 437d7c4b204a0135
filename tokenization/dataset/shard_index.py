"""`shards.parquet`: the shards of a version with the keys by which later versions find and reuse them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from infra.object_store import Folder

SHARD_INDEX_FILE = "shards.parquet"
SHARD_INDEX_SCHEMA: dict[str, pl.DataType] = {
    "path": pl.String(),
    "key": pl.String(),
    "sha256": pl.String(),
    "rows": pl.Int64(),
    "tokens": pl.Int64(),
    "statistics": pl.String(),  # JSON
    "originality": pl.Int64(),
}


ORIGINALITY = "originality"
"""The folder of a version with the originality indexes of its training shards."""


def index_path(shard: str) -> str:
    """Return the path of the originality index of a shard: `originality/00000.index` of `train/00000.parquet`."""
    return f"{ORIGINALITY}/{shard.rpartition('/')[2].removesuffix('.parquet')}.index"


@dataclass(frozen=True)
class ShardEntry:
    """A row of the index."""

    path: str
    """In the version: `train/00000.parquet`."""
    key: str
    """Digest of what the shard is made from: equal keys, equal bytes."""
    sha256: str
    """Of the file."""
    rows: int
    tokens: int
    statistics: str
    """Counts over its pieces, without augmented copies, as JSON: most entries are only handed on."""
    originality: int | None = None
    """Format of the originality index of its pieces, which lies at `index_path`; None if it has none."""


def write_shard_index(folder: Folder, shards: Iterable[ShardEntry]) -> None:
    """Write the index of a version, in the order given. Not atomic: write into a staging folder."""
    rows = [tuple(vars(shard).values()) for shard in shards]  # `astuple` would copy every value
    with (folder / SHARD_INDEX_FILE).open("wb") as file:
        pl.DataFrame(rows, schema=SHARD_INDEX_SCHEMA, orient="row").write_parquet(file)


def parse_shard_index(data: bytes) -> list[ShardEntry]:
    """Parse the content of `shards.parquet`; one that was written before there were originality indexes has none."""
    table = pl.read_parquet(io.BytesIO(data))
    if "originality" not in table.columns:
        table = table.with_columns(originality=pl.lit(None, pl.Int64))
    return [ShardEntry(*row) for row in table.select(SHARD_INDEX_SCHEMA.keys()).iter_rows()]
