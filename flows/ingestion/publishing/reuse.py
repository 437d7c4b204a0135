"""Reuse: shards of earlier versions whose content a new version needs again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.ingestion.publishing.shard_plan import ShardPlan
from infra.files import link
from infra.object_store import Folder, read_all
from tokenization import originality
from tokenization.dataset.shard_index import SHARD_INDEX_FILE, ShardEntry, index_path, parse_shard_index
from tokenization.dataset.splits import TRAIN, split_of
from tokenization.dataset.version import DatasetVersion


@dataclass(frozen=True)
class PublishedShard:
    """A shard of an earlier version."""

    entry: ShardEntry
    folder: Folder
    """Of the version."""

    def files(self, plan: ShardPlan, with_originality: bool) -> Iterator[tuple[Folder, str]]:
        """Yield the shard and its originality index, each with its path in the version that `plan` belongs to."""
        yield self.folder / self.entry.path, plan.path
        if with_originality and self.entry.originality is not None:
            yield self.folder / index_path(self.entry.path), index_path(plan.path)


def shards_by_key(versions: Sequence[DatasetVersion], with_originality: bool) -> dict[str, PublishedShard]:
    """Read the indexes of some versions; of shards with the same key the newest is returned.

    `with_originality`: leave out training shards without an originality index of the format that is written now.
    """
    found = {}
    indexes = read_all([version.folder / SHARD_INDEX_FILE for version in versions])
    for version, index in zip(versions, indexes):
        for entry in parse_shard_index(index) if index is not None else ():
            if not with_originality or split_of(entry.path) != TRAIN or entry.originality == originality.VERSION:
                found[entry.key] = PublishedShard(entry, version.folder)
    return found


def reuse(
    shards: Sequence[tuple[ShardPlan, PublishedShard]], folder: Folder, with_originality: bool
) -> list[ShardEntry]:
    """Put earlier shards into the folder of a new version under the paths of their plans, and return their entries.

    They are hard links where the file system has them, else copies; in an object store copies within the store.
    """
    files = [pair for plan, shard in shards for pair in shard.files(plan, with_originality)]
    if isinstance(folder, Path):
        for source, path in files:
            link(str(source), str(folder / path))
    elif files:
        from upath import UPath  # 0.15 s, which no lake on a disk has to pay

        folder.fs.copy([UPath(source).path for source, _ in files], [(folder / path).path for _, path in files])
    kept = [shard.entry if with_originality else replace(shard.entry, originality=None) for _, shard in shards]
    return [replace(entry, path=plan.path) for (plan, _), entry in zip(shards, kept)]
