"""Registering: a bundle becomes a logged model and a version in MLflow, with the figures that it was measured at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException

from infra.files import staging_folder
from infra.locks import exclusive
from registry.cards import CARD_FILE, fitted
from registry.errors import RegistryError, first_line
from registry.identity import MODEL_NAME, folder_digest
from registry.lineage import DatasetReference
from registry.models import BUNDLE_TAG, MANIFEST_TAG, RegisteredModel, find_model, list_models
from registry.packaging import write_version
from registry.pulling import is_intact
from registry.store import Registry

MODEL_TYPE = "musenet"
OF_VERSIONS = "mlflow.modelVersions"
"""Tag of a logged model by which MLflow's page names its versions."""
ABOUT = (
    "Music generated token by token, after OpenAI's MuseNet. A version holds network, critic, vocabulary, its code and "
    "requirements. `champion` is the version that is sampled from by default, `candidate` the newest."
)
"""Description of the registered model."""


@dataclass(frozen=True)
class Measured:
    """Figures of a bundle, logged at a step of its run."""

    step: int
    time: float
    """Seconds since the epoch. The same for the same figures, which are then logged once."""
    metrics: Mapping[str, float] = field(default_factory=dict)


def register(
    registry: Registry,
    run_id: str,
    bundle: Path,
    dataset: DatasetReference,
    tags: Mapping[str, str],
    card: str,
    *,
    name: str = "bundle",
    measured: Measured | None = None,
    pages: Mapping[str, str] = MappingProxyType({}),
) -> RegisteredModel:
    """Register a bundle as a new version, or return the version that already has the same files.

    `bundle`: folder with the files that `modeling.generation.ModelBundle.load` reads. `card`: Markdown. `name`: of the
    logged model in MLflow. `pages`: kept with the version, by file name. Nothing is left of a version that cannot be
    registered. Raises RegistryError.
    """
    digest = folder_digest(bundle)
    with exclusive(registry.cache / "register.lock"):
        for known in list_models(registry):
            if known.tags.get(BUNDLE_TAG) == digest and is_intact(registry, known):
                return known
        try:
            version = _create(
                registry,
                run_id,
                bundle,
                dataset,
                {BUNDLE_TAG: digest, "dataset": str(dataset), **tags},
                card,
                name,
                measured or Measured(0, 0.0),
                pages,
            )
        except (MlflowException, OSError) as error:
            raise RegistryError(f"the model cannot be registered: {first_line(error)}") from error
    return find_model(registry, version)


def _create(
    registry: Registry,
    run_id: str,
    bundle: Path,
    dataset: DatasetReference,
    tags: Mapping[str, str],
    card: str,
    name: str,
    measured: Measured,
    pages: Mapping[str, str],
) -> str:
    """Create the logged model, then the version; return its number."""
    client = registry.client
    parameters = dict(client.get_run(run_id).data.params)
    logged = client.create_logged_model(registry.experiment_id, name, run_id, dict(tags), parameters, MODEL_TYPE)
    try:
        with staging_folder(bundle.parent) as folder:
            manifest = write_version(folder, bundle, logged.model_id, run_id, {**pages, CARD_FILE: card})
            client.log_model_artifacts(logged.model_id, str(folder))
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, measured.step)])
        if measured.metrics:
            client.log_batch(run_id, metrics=_metrics(measured, logged.model_id, dataset))
        if not client.search_registered_models(f"name = '{MODEL_NAME}'"):
            client.create_registered_model(MODEL_NAME, description=ABOUT)
        with registry.as_default():
            created = client.create_model_version(
                MODEL_NAME,
                source=f"models:/{logged.model_id}",
                run_id=run_id,
                tags={**tags, MANIFEST_TAG: manifest},
                description=fitted(card),
                model_id=logged.model_id,
            )
    except BaseException:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        client.delete_logged_model(logged.model_id)
        raise
    version = str(created.version)
    client.set_logged_model_tags(logged.model_id, {OF_VERSIONS: json.dumps([{"name": MODEL_NAME, "version": version}])})
    return version


def _metrics(measured: Measured, model_id: str, dataset: DatasetReference) -> list[Metric]:
    when, about = int(measured.time * 1000), {"dataset_name": dataset.name, "dataset_digest": dataset.digest}
    return [
        Metric(name, value, when, measured.step, model_id=model_id, **about) for name, value in measured.metrics.items()
    ]
