"""Lineage: which dataset version a run was trained on, as an MLflow dataset input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from registry.runs import Registry

LONGEST_DIGEST = 36
"""Characters that MLflow keeps of a dataset's digest."""


@dataclass(frozen=True)
class DatasetReference:
    """A dataset version as the registry names it."""

    name: str
    digest: str
    location: str
    profile: dict[str, Any]
    """Counts worth showing: pieces, tokens, notes, hours."""

    def __post_init__(self) -> None:
        if len(self.digest) > LONGEST_DIGEST:
            raise ValueError(f"MLflow keeps {LONGEST_DIGEST} characters of a digest; {self.digest!r} has more")


def log_dataset(registry: Registry, run_id: str, dataset: DatasetReference, context: str) -> None:
    """Record a dataset version as the run's input. `context`: what it was used for, as `training`."""
    entity = Dataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type="local",
        source=json.dumps({"uri": dataset.location}),
        profile=json.dumps(dataset.profile),
    )
    registry.client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", context)])])
