"""Publishing: a manifest to an immutable, content-addressed dataset version.

The digest covers every input's hash and fate, the encoding and its version, the vocabulary and the settings: equal
inputs give equal digests on any machine, with any engine and number of workers. A shard whose rows an earlier
version has already is taken from there; only partitions in which something changed are encoded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from upath import UPath

from flows.ingestion.card import write_card
from flows.ingestion.card.statistics import Statistics
from flows.ingestion.engines import Engine
from flows.ingestion.publishing.sharding import EncodeJob, EncodingChoice, ShardPlan, encode
from infra.digests import canonical_digest
from infra.files import publish_folder, remove_abandoned, staging_folder
from infra.lake import Lake
from infra.object_store import Folder, read_all, with_cached_listing
from tokenization.dataset.catalogue import dataset_versions
from tokenization.dataset.description import (
    DESCRIPTION_FILE,
    Description,
    FamilyCounts,
    VocabularyInfo,
    write_description,
)
from tokenization.dataset.encoding_files import EncodingInfo, write_vocabulary
from tokenization.dataset.manifest import MANIFEST_FILE, Status, outcome_counts, write_manifest
from tokenization.dataset.shard_index import SHARD_INDEX_FILE, ShardEntry, parse_shard_index, write_shard_index
from tokenization.dataset.splits import SPLITS, TRAIN, split_of
from tokenization.dataset.version import DatasetVersion, open_version

CONTENT = ("collection", "path", "sha256", "licence", "style", "status", "reason", "family", "split", "partition")
"""What of the manifest the digest covers: what files are and became, not where they lie."""


@dataclass(frozen=True)
class Publication:
    """What a new version is to be, besides its pieces."""

    name: str
    choice: EncodingChoice
    settings: dict[str, Any]
    """All settings that its content depends on."""
    input_key: str
    parent: str | None
    """Digest of the version before."""
    ignored: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Published:
    """A version, and how many of its shards were encoded for it."""

    version: DatasetVersion
    encoded: int
    shards: int


def dataset_digest(manifest: pl.DataFrame, publication: Publication) -> str:
    """The digest of the version that a manifest makes."""
    choice = publication.choice
    rows = manifest.select(CONTENT).sort("collection", "path").write_csv()
    return canonical_digest(
        {
            "encoding": [choice.name, choice.version, choice.time],
            "vocabulary": choice.encoding.vocabulary.digest,
            "settings": publication.settings,
            "variants": choice.augmentation.content(TRAIN, choice.encoding.vocabulary),
            "files": hashlib.sha256(rows.encode()).hexdigest(),
        }
    )


def publish(
    lake: Lake,
    manifest: pl.DataFrame,
    places: pl.DataFrame,
    publication: Publication,
    engine: Engine,
    progress: Callable[[int, int], None],
) -> Published:
    """Write and publish a version; one with the same digest that exists already is returned as it is.

    `places`: columns `sha256`, `part`, `row` of the accepted pieces in the store.
    """
    digest = dataset_digest(manifest, publication)
    final = lake.datasets / publication.name / digest
    if (final / DESCRIPTION_FILE).exists():
        version = open_version(final)
        return Published(version, 0, len(version.description.shards))
    plans = plan_shards(manifest, places)
    with _workplace(final) as folder:
        earlier = _earlier_shards(lake, publication.name)
        missing, reused = [], []
        for plan in plans:
            known = earlier.get(plan.key(publication.choice))
            if known is None:
                missing.append(plan)
            else:
                reused.append((*known, plan))
        shards = _taken(reused, folder)
        jobs = list(_jobs(missing, folder, lake, publication.choice))
        progress(0, len(missing))
        done = 0
        for _, written in engine.run(encode, jobs):
            shards += written
            done += len(written)
            progress(done, len(missing))
        shards.sort(key=lambda shard: shard.path)
        _complete(folder, digest, manifest, shards, publication)
    return Published(open_version(final), len(missing), len(plans))


@contextmanager
def _workplace(final: Folder) -> Iterator[Folder]:
    """Where a version is put together.

    On a disk it is staged beside its place and renamed. In an object store, which cannot rename, it lies where it
    will be, invisible until its description is there.
    """
    if not isinstance(final, Path):
        yield final
        return
    remove_abandoned(final.parent)
    with staging_folder(final.parent) as staged:
        for split in SPLITS:
            (staged / split).mkdir()
        yield staged
        with contextlib.suppress(FileExistsError):  # another process has just published the same
            publish_folder(staged, final)


def plan_shards(manifest: pl.DataFrame, places: pl.DataFrame) -> list[ShardPlan]:
    """One shard for each partition and split with accepted pieces, rows in the order of the manifest."""
    accepted = manifest.filter(pl.col("status") == Status.ACCEPTED)
    pieces = accepted.select("sha256", "family", "style", "split", "partition").join(
        places, on="sha256", how="left", maintain_order="left"
    )
    plans = []
    numbers = dict.fromkeys(SPLITS, 0)
    for (_, split), rows in pieces.group_by("partition", "split", maintain_order=True):
        path = f"{split}/{numbers[str(split)]:05d}.parquet"
        numbers[str(split)] += 1
        plans.append(ShardPlan(path, str(split), rows.drop("split", "partition")))
    return plans


def _jobs(plans: Sequence[ShardPlan], folder: Folder, lake: Lake, choice: EncodingChoice) -> Iterator[EncodeJob]:
    """Shards that read the same part of the store go together, the largest first."""
    together: dict[str, list[ShardPlan]] = {}
    for plan in plans:
        together.setdefault(plan.pieces["part"][0], []).append(plan)
    for group in sorted(together.values(), key=lambda group: -sum(len(plan.pieces) for plan in group)):
        yield EncodeJob(tuple(group), folder, lake.pieces, choice)


def _earlier_shards(lake: Lake, name: str) -> dict[str, tuple[ShardEntry, Folder]]:
    """The shards of all versions of a dataset with their files, by their key."""
    found = {}
    versions = dataset_versions(lake, name)
    tables = read_all([version.folder / SHARD_INDEX_FILE for version in versions])
    for version, table in zip(versions, tables):
        for shard in parse_shard_index(table) if table is not None else ():
            found[shard.key] = (shard, version.folder / shard.path)
    return found


def _taken(reused: Sequence[tuple[ShardEntry, Folder, ShardPlan]], folder: Folder) -> list[ShardEntry]:
    """The same bytes under new names: second links where the file system has them, copies within an object store."""
    if isinstance(folder, Path):
        for _, file, plan in reused:
            try:
                os.link(str(file), folder / plan.path)
            except OSError:
                shutil.copyfile(str(file), folder / plan.path)
    elif reused:
        sources = [UPath(file).path for _, file, _ in reused]
        folder.fs.copy(sources, [(folder / plan.path).path for _, _, plan in reused])  # side by side
    return [replace(shard, path=plan.path) for shard, _, plan in reused]


def _complete(
    folder: Folder, digest: str, manifest: pl.DataFrame, shards: Sequence[ShardEntry], publication: Publication
) -> None:
    """Write all that a version holds besides its shards; the description, last, makes it visible."""
    write_manifest(folder / MANIFEST_FILE, manifest)
    write_vocabulary(folder, publication.choice.encoding.vocabulary)
    write_shard_index(folder, shards)
    description = describe(digest, manifest, shards, publication)
    write_card(DatasetVersion(with_cached_listing(folder), description), manifest)
    write_description(folder, description)


def describe(
    digest: str, manifest: pl.DataFrame, shards: Sequence[ShardEntry], publication: Publication
) -> Description:
    """The content of `dataset.json`."""
    choice = publication.choice
    vocabulary = choice.encoding.vocabulary
    accepted = manifest.filter(pl.col("status") == Status.ACCEPTED)
    styles = accepted.group_by(pl.col("style").fill_null("(none)")).len().sort("style")
    families = manifest.drop_nulls("family").group_by("family").len()["len"]
    by_split = {split: [shard for shard in shards if split_of(shard.path) == split] for split in SPLITS}
    statistics = sum((Statistics.from_dict(dict(shard.statistics)) for shard in shards), Statistics())
    return Description(
        name=publication.name,
        digest=digest,
        input_key=publication.input_key,
        parent=publication.parent,
        created=datetime.now(UTC),
        encoding=EncodingInfo.of(choice.encoding),
        vocabulary=VocabularyInfo(name=vocabulary.name, digest=vocabulary.digest),
        settings=publication.settings,
        files=len(manifest),
        outcomes=outcome_counts(manifest),
        ignored=publication.ignored,
        pieces={split: int((accepted["split"] == split).sum()) for split in SPLITS},
        variants={split: sum(shard.rows for shard in chosen) for split, chosen in by_split.items()},
        tokens={split: sum(shard.tokens for shard in chosen) for split, chosen in by_split.items()},
        notes=int(accepted["notes"].sum()),
        hours=round(float(accepted["seconds"].sum()) / 3600, 3),
        styles=dict(styles.iter_rows()),
        licences=sorted(accepted["licence"].unique().to_list()),
        families=FamilyCounts(
            families=len(families),
            members=int(families.sum()),
            largest=int(families.max() or 0),  # type: ignore[arg-type]
        ),
        repairs=dict(manifest["repairs"].explode().drop_nulls().value_counts().sort("repairs").iter_rows()),
        statistics=statistics.to_dict(),
        shards={shard.path: shard.sha256 for shard in shards},
    )
