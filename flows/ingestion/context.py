"""The context of an ingestion: what it builds on, resolved once and handed to every stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import polars as pl

from flows.ingestion.parameters import IngestParameters
from infra.lake import Lake
from tokenization.dataset.catalogue import dataset_versions
from tokenization.dataset.version import DatasetVersion


@dataclass(frozen=True)
class IngestContext:
    """Parameters, lake, and the versions that the dataset had when the context was resolved.

    Splits, encoding, reused shards and the published parent all come from the same context, whatever other ingestions
    publish meanwhile; publishing then compares (see `publishing.publication`).
    """

    parameters: IngestParameters
    lake: Lake
    versions: tuple[DatasetVersion, ...]
    """Oldest first."""

    @classmethod
    def resolve(cls, parameters: IngestParameters) -> Self:
        """List the versions of the dataset. Raises RunError for an object store that cannot be used."""
        lake = Lake.at(parameters.lake)
        return cls(parameters, lake, tuple(dataset_versions(lake, parameters.name)))

    def renewed(self) -> Self:
        """Resolve the context again, after another ingestion has published."""
        return self.resolve(self.parameters)

    @property
    def parent(self) -> DatasetVersion | None:
        """The newest version, from which the next one inherits splits and learned tokens."""
        return self.versions[-1] if self.versions else None

    def inherited_splits(self) -> pl.DataFrame | None:
        """Return columns `sha256` and `split` of the parent's pieces; None unless it was split by the same settings."""
        parent = self.parent
        if parent is None or parent.description.settings["splits"] != self.parameters.splits.model_dump(mode="json"):
            return None
        return parent.manifest.drop_nulls("split").select("sha256", "split")

    def inherited_partitions(self) -> pl.DataFrame | None:
        """Return columns `sha256` and `partition` of the parent's files; None unless its partitions have this size."""
        parent = self.parent
        if parent is None or parent.description.settings["partition_files"] != self.parameters.partition_files:
            return None
        return parent.manifest.select("sha256", "partition")
