"""A version as a Hugging Face-style dataset: `load_dataset(FOLDER)` reads it, and so does anything that reads Parquet.

README.md                       the card, with the splits in its front matter
data/train-00000-of-00002.parquet, …    a row for each variant of a piece
vocabulary.json, encoding.json  what the token ids mean
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from flows.export.delivery import Export, delivered, written
from flows.export.hub_card import hub_card
from flows.export.rows import shard_tables
from tokenization.dataset import DatasetVersion, write_encoding
from tokenization.dataset.shard_index import SHARD_INDEX_FILE, parse_shard_index
from tokenization.dataset.splits import SPLITS, split_of

FILE_TOKENS = 64 * 2**20
"""Tokens after which a file ends: some 100 MB."""
ROW_GROUP = 128
"""Rows of a row group; those of the hub's viewer are small, too."""


def export_parquet(version: DatasetVersion, target: Path, progress: Callable[[int, int], None]) -> Export:
    """Write a version, which lies on this machine, to a new folder. `progress`: shards written, of how many.

    Raises UserError for a target that cannot be used and ShardError for a damaged shard.
    """
    shards = len(version.description.shards)
    done = rows = 0
    with delivered(target) as folder:
        (folder / "data").mkdir()
        for split in SPLITS:
            files = _files(version, split)
            tables = shard_tables(version, split)
            for number, count in enumerate(files):
                path = folder / "data" / f"{split}-{number:05d}-of-{len(files):05d}.parquet"
                first = next(tables)
                with pq.ParquetWriter(path, first.schema, compression="zstd", write_page_checksum=True) as writer:
                    for table in (first, *_take(tables, count - 1)):
                        writer.write_table(table, row_group_size=ROW_GROUP)
                        rows += len(table)
                        done += 1
                        progress(done, shards)
        write_encoding(folder, version.encoding)
        (folder / "README.md").write_text(hub_card(version), encoding="utf-8")
    return written(target, rows)


def _files(version: DatasetVersion, split: str) -> list[int]:
    """Return the number of shards in each file of a split."""
    index = parse_shard_index((version.path / SHARD_INDEX_FILE).read_bytes())
    files: list[int] = []
    tokens = FILE_TOKENS
    for shard in index:
        if split_of(shard.path) == split:
            if tokens >= FILE_TOKENS:
                files.append(0)
                tokens = 0
            files[-1] += 1
            tokens += shard.tokens
    return files


def _take(tables: Iterator[object], count: int) -> Iterator[object]:
    for _ in range(count):
        yield next(tables)
