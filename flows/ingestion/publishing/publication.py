"""Publishing: a manifest to an immutable, content-addressed dataset version.

A shard whose content an earlier version has already is taken from there; only partitions in which something changed
are encoded. A version inherits splits and learned tokens from its parent, the newest version before it, so publishing
compares: when another version has appeared since the parent was resolved, it raises ParentChanged and publishes
nothing. Versions of a dataset therefore form a chain, and a family that one of them held out stays held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flows.engines import Engine
from flows.ingestion.publishing.describe import describe
from flows.ingestion.publishing.encode_job import encode, encode_jobs
from flows.ingestion.publishing.reuse import reuse, shards_by_key
from flows.ingestion.publishing.shard_plan import ShardPlan, plan_shards, shard_keys
from flows.ingestion.publishing.version_spec import VersionSpec, dataset_digest
from infra.errors import RunError
from infra.files import publish_folder, remove_abandoned, staging_folder
from infra.locks import exclusive
from infra.object_store import Folder, with_cached_listing
from tokenization.dataset.catalogue import dataset_versions
from tokenization.dataset.contract import check_manifest
from tokenization.dataset.description import DESCRIPTION_FILE, Description, write_description
from tokenization.dataset.encoding_files import write_vocabulary
from tokenization.dataset.manifest import MANIFEST_FILE, write_manifest
from tokenization.dataset.shard_index import ORIGINALITY, ShardEntry, write_shard_index
from tokenization.dataset.splits import SPLITS
from tokenization.dataset.version import DatasetVersion, open_version


class ParentChanged(RunError):
    """Another version of the dataset was published after the parent was resolved."""


@dataclass(frozen=True)
class Published:
    """A published version, with the number of shards that were encoded for it."""

    version: DatasetVersion
    encoded: int
    shards: int


def publish(
    spec: VersionSpec,
    manifest: pl.DataFrame,
    row_refs: pl.DataFrame,
    engine: Engine,
    progress: Callable[[int, int], None],
) -> Published:
    """Write and publish a version; an existing one with the same digest is returned unchanged.

    `row_refs`: columns `sha256`, `part`, `row` of the accepted pieces in the store. Raises ParentChanged, and
    ManifestError for a manifest that breaks its contract.
    """
    digest = dataset_digest(manifest, spec)
    final = spec.lake.datasets / spec.name / digest
    if (final / DESCRIPTION_FILE).exists():
        version = open_version(final)
        return Published(version, 0, len(version.description.shards))
    from flows.ingestion.card import write_card  # not in workers, which import this package to encode

    check_manifest(manifest)
    compare_parent(spec, digest)  # before the work; what counts is the comparison in `_deliver`
    plans = plan_shards(manifest, row_refs)
    with _folder_to_fill(final, spec.originality) as folder:
        shards, encoded = _write_shards(plans, folder, spec, engine, progress)
        description = describe(digest, manifest, shards, spec)
        write_manifest(folder / MANIFEST_FILE, manifest)
        write_vocabulary(folder, spec.choice.encoding.vocabulary)
        write_shard_index(folder, shards)
        write_card(DatasetVersion(with_cached_listing(folder), description), manifest)
        _deliver(folder, final, description, spec)
    return Published(open_version(final), encoded, len(plans))


def compare_parent(spec: VersionSpec, digest: str) -> None:
    """Raise ParentChanged if another version has been published since `spec.versions` were listed.

    `digest` is the version to come; where it is published already, those that build on it are no others.
    """
    chain = {digest}
    for version in dataset_versions(spec.lake, spec.name, but={known.digest for known in spec.versions}):
        if version.digest not in chain and version.description.parent not in chain:
            remedy = "ingest again to build on it"
            raise ParentChanged(f"{version} was published while a version of {spec.name} was being made; {remedy}")
        chain.add(version.digest)


@contextmanager
def _folder_to_fill(final: Folder, with_originality: bool) -> Iterator[Folder]:
    """Give the folder that a version is written to.

    On a disk that is a staging folder beside the final one. In an object store, which cannot rename, it is the final
    one, where the version stays invisible until its description is written.
    """
    if not isinstance(final, Path):
        yield final
        return
    remove_abandoned(final.parent)
    with staging_folder(final.parent) as staged:
        for name in (*SPLITS, *([ORIGINALITY] if with_originality else [])):
            (staged / name).mkdir()
        yield staged


def _write_shards(
    plans: list[ShardPlan],
    folder: Folder,
    spec: VersionSpec,
    engine: Engine,
    progress: Callable[[int, int], None],
) -> tuple[list[ShardEntry], int]:
    """Reuse and encode the shards of a version; returns their entries by path, and the number of encoded ones."""
    earlier = shards_by_key(spec.versions, spec.originality)
    by_plan = [(plan, earlier.get(key)) for plan, key in zip(plans, shard_keys(plans, spec.choice), strict=True)]
    missing = [plan for plan, shard in by_plan if shard is None]
    shards = reuse([(plan, shard) for plan, shard in by_plan if shard is not None], folder, spec.originality)
    jobs = list(encode_jobs(missing, folder, spec.lake.pieces, spec.choice, spec.originality))
    progress(0, len(missing))
    done = 0
    for _, written in engine.run(encode, jobs):
        shards += written
        done += len(written)
        progress(done, len(missing))
    return sorted(shards, key=lambda shard: shard.path), len(missing)


def _deliver(folder: Folder, final: Folder, description: Description, spec: VersionSpec) -> None:
    """Publish a version that is complete but for its description, if its parent is still the newest version.

    On a disk, comparison and rename happen under a lock of the dataset. An object store has none: the description
    is withdrawn when another version has appeared while it was written. Of two concurrent versions at least one then
    sees the other, since a store lists what was written before. Shards that were not published stay in the store,
    invisible, and are overwritten when the same version is made again.
    """
    if isinstance(folder, Path) and isinstance(final, Path):
        write_description(folder, description)
        with exclusive(spec.lake.locks / f"dataset-{spec.name}.lock"):
            if not final.exists():  # else another process has just published the same
                compare_parent(spec, description.digest)
                publish_folder(folder, final)
        return
    if (final / DESCRIPTION_FILE).exists():  # another process has just published the same
        return
    compare_parent(spec, description.digest)
    write_description(folder, description)
    try:
        compare_parent(spec, description.digest)
    except ParentChanged:
        (folder / DESCRIPTION_FILE).unlink()
        raise
