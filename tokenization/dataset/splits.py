"""The splits of a dataset version: the names of its folders of shards."""

from __future__ import annotations

from typing import Final

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VALIDATION, TEST)
"""All splits, in the order in which they are listed."""


def split_of(shard: str) -> str:
    """Return the split of a shard from its path in the version, `train/00000.parquet`."""
    return shard.partition("/")[0]
