"""Lineage: the dataset version of a run, as an MLflow dataset input, and the model that it began with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput
from mlflow.exceptions import MlflowException

from modeling.config import ParentModel
from registry.identity import MODEL_NAME
from registry.store import Registry
from tokenization.dataset import DatasetVersion

LONGEST_DIGEST = 36
"""Characters that MLflow keeps of a dataset's digest."""
PARENT_TAG, PARENT_RUN_TAG, PARENT_WEIGHTS_TAG = "parent", "parent_run", "parent_weights"
"""Tags of a run and of a version: the number of the version that it began with, the id of the run that trained that
one, and the digest of its weights (`ParentModel`), which is the same in any registry."""
OF_MODELS = "models:/"
"""Begins the source of a version, in front of the id of its logged model."""
WEIGHTS_TAG = "weights"
"""Tag of a version with the digest of its own weights."""
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


def parent_tags(parent: ParentModel | None) -> dict[str, str]:
    """Return the tags of a run or version that began with a model; none for one that did not."""
    if parent is None:
        return {}
    tags = {PARENT_TAG: parent.version, PARENT_RUN_TAG: parent.run, PARENT_WEIGHTS_TAG: parent.weights}
    return {name: value for name, value in tags.items() if value is not None}


def log_parent(registry: Registry, run_id: str, parent: ParentModel) -> None:
    """Record the model that a run began with as its input; nothing for one without a version in this registry."""
    if parent.version is None:
        return
    try:
        source = str(registry.client.get_model_version(MODEL_NAME, parent.version).source)
    except MlflowException:  # deleted since
        return
    if source.startswith(f"{OF_MODELS}m-"):
        registry.client.log_inputs(run_id, models=[LoggedModelInput(source.removeprefix(OF_MODELS))])
