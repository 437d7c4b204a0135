"""Lineage: the dataset version of a run, as an MLflow dataset input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from registry.store import Registry
from tokenization.dataset import DatasetVersion

LONGEST_DIGEST = 36
"""Characters that MLflow keeps of a dataset's digest."""
PROFILE = ("pieces", "tokens", "notes", "hours", "styles")
"""Counts of a dataset version that MLflow's page shows."""


@dataclass(frozen=True)
class DatasetReference:
    """A dataset version as MLflow records it."""

    name: str
    digest: str
    location: str
    profile: dict[str, Any]
    """Counts to show: pieces, tokens, notes, hours."""

    def __post_init__(self) -> None:
        if len(self.digest) > LONGEST_DIGEST:
            raise ValueError(f"MLflow keeps {LONGEST_DIGEST} characters of a digest; {self.digest!r} has more")

    @classmethod
    def of(cls, version: DatasetVersion) -> DatasetReference:
        """Return the reference to a published version."""
        profile = version.description.model_dump(include=set(PROFILE))
        return cls(version.name, version.digest, str(version.folder), profile)

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


def log_dataset(registry: Registry, run_id: str, dataset: DatasetReference, context: str) -> None:
    """Record a dataset version as an input of a run. `context`: its use, such as `training`."""
    entity = Dataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type="local",
        source=json.dumps({"uri": dataset.location}),
        profile=json.dumps(dataset.profile),
    )
    registry.client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", context)])])
