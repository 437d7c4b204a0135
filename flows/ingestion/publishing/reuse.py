"""Reuse: shards of earlier versions whose content a new version needs again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from upath import UPath

from flows.ingestion.publishing.shard_plan import ShardPlan
from infra.object_store import Folder, read_all
from tokenization.dataset.shard_index import SHARD_INDEX_FILE, ShardEntry, parse_shard_index
from tokenization.dataset.version import DatasetVersion


@dataclass(frozen=True)
class PublishedShard:
    """A shard of an earlier version."""

    entry: ShardEntry
    file: Folder


def shards_by_key(versions: Sequence[DatasetVersion]) -> dict[str, PublishedShard]:
    """Read the indexes of some versions; of shards with the same key the newest is returned."""
    found = {}
    indexes = read_all([version.folder / SHARD_INDEX_FILE for version in versions])
    for version, index in zip(versions, indexes):
        for entry in parse_shard_index(index) if index is not None else ():
            found[entry.key] = PublishedShard(entry, version.folder / entry.path)
    return found


def reuse(shards: Sequence[tuple[ShardPlan, PublishedShard]], folder: Folder) -> list[ShardEntry]:
    """Put earlier shards into the folder of a new version under the paths of their plans, and return their entries.

    They are hard links where the file system has them, else copies; in an object store copies within the store.
    """
    if isinstance(folder, Path):
        for plan, shard in shards:
            try:
                os.link(str(shard.file), folder / plan.path)
            except OSError:
                shutil.copyfile(str(shard.file), folder / plan.path)
    elif shards:
        sources = [UPath(shard.file).path for _, shard in shards]
        folder.fs.copy(sources, [(folder / plan.path).path for plan, _ in shards])  # side by side
    return [replace(shard.entry, path=plan.path) for plan, shard in shards]
