"""The specification of a version to come, and the digest that follows from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import polars as pl

from flows.ingestion.publishing.shard_plan import EncodingChoice
from infra.digests import canonical_digest
from infra.lake import Lake
from tokenization.dataset.description import CollectionInfo, GateResult
from tokenization.dataset.splits import TRAIN
from tokenization.dataset.version import DatasetVersion

CONTENT = ("collection", "path", "sha256", "licence", "style", "status", "reason", "family", "split", "partition")
"""Columns of the manifest that the digest covers."""


@dataclass(frozen=True)
class VersionSpec:
    """Everything that makes a version besides its manifest."""

    lake: Lake
    name: str
    """Of the dataset."""
    choice: EncodingChoice
    originality: bool
    """True for a version with originality indexes of its training pieces."""
    settings: dict[str, Any]
    """All settings that the content depends on."""
    input_key: str
    ignored: dict[str, dict[str, int]]
    """Files without a row in the manifest, by collection and suffix."""
    collections: tuple[CollectionInfo, ...]
    """Where the files were found."""
    gates: tuple[GateResult, ...]
    """The rules that the manifest was checked against."""
    versions: tuple[DatasetVersion, ...]
    """The published versions of the dataset that this one is made from, oldest first."""

    @property
    def parent(self) -> DatasetVersion | None:
        """The newest of `versions`, whose splits and learned tokens the version inherits."""
        return self.versions[-1] if self.versions else None


def dataset_digest(manifest: pl.DataFrame, spec: VersionSpec) -> str:
    """Return the digest of a version: of its files and their outcomes, encoding, vocabulary and settings.

    Equal inputs give equal digests on any machine, with any engine and number of workers.
    """
    choice = spec.choice
    rows = manifest.select(CONTENT).sort("collection", "path").write_csv()
    return canonical_digest(
        {
            "encoding": [choice.name, choice.version, choice.time],
            "vocabulary": choice.encoding.vocabulary.digest,
            "settings": spec.settings,
            "variants": choice.augmentation.content(TRAIN, choice.encoding.vocabulary),
            "files": hashlib.sha256(rows.encode()).hexdigest(),
        }
    )
