"""The description of a version to come: what `dataset.json` records of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from flows.ingestion.music_statistics import Statistics
from flows.ingestion.publishing.version_spec import VersionSpec
from tokenization.dataset.description import Description, FamilyCounts, VocabularyInfo
from tokenization.dataset.encoding_files import EncodingInfo
from tokenization.dataset.manifest import ACCEPTED, licence_counts, outcome_counts
from tokenization.dataset.shard_index import ShardEntry
from tokenization.dataset.splits import SPLITS, split_of
from tokenization.dataset.version import DatasetVersion

MILLISECOND = timedelta(milliseconds=1)
"""The resolution of `created`."""


def describe(digest: str, manifest: pl.DataFrame, shards: Sequence[ShardEntry], spec: VersionSpec) -> Description:
    """Build the content of `dataset.json`."""
    choice = spec.choice
    vocabulary = choice.encoding.vocabulary
    accepted = manifest.filter(ACCEPTED)
    styles = accepted.group_by(pl.col("style").fill_null("(none)")).len().sort("style")
    families = manifest["family"].drop_nulls().value_counts()["count"]
    by_split = {split: [shard for shard in shards if split_of(shard.path) == split] for split in SPLITS}
    statistics = sum((Statistics.from_dict(json.loads(shard.statistics)) for shard in shards), Statistics())
    return Description(
        name=spec.name,
        digest=digest,
        input_key=spec.input_key,
        parent=None if spec.parent is None else spec.parent.digest,
        created=_time_after(spec.parent),
        encoding=EncodingInfo.of(choice.encoding),
        vocabulary=VocabularyInfo(name=vocabulary.name, digest=vocabulary.digest),
        settings=spec.settings,
        files=len(manifest),
        outcomes=outcome_counts(manifest),
        ignored=spec.ignored,
        pieces={split: int((accepted["split"] == split).sum()) for split in SPLITS},
        variants={split: sum(shard.rows for shard in chosen) for split, chosen in by_split.items()},
        tokens={split: sum(shard.tokens for shard in chosen) for split, chosen in by_split.items()},
        notes=int(accepted["notes"].sum()),
        hours=round(float(accepted["seconds"].sum()) / 3600, 3),
        styles=dict(styles.iter_rows()),
        licences=dict(licence_counts(manifest)),
        collections=list(spec.collections),
        gates=list(spec.gates),
        families=FamilyCounts(
            families=len(families),
            members=int(families.sum()),
            largest=int(families.max() or 0),  # type: ignore[arg-type]
        ),
        repairs=dict(manifest["repairs"].explode().drop_nulls().value_counts().sort("repairs").iter_rows()),
        statistics=statistics.to_dict(),
        shards={shard.path: shard.sha256 for shard in shards},
    )


def _time_after(parent: DatasetVersion | None) -> datetime:
    """Return the time, later than the parent's `created` even where the machine that wrote it has a fast clock."""
    now = datetime.now(UTC)
    return now if parent is None else max(now, parent.description.created + MILLISECOND)
