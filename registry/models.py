"""Model versions: register a bundle of model and critic, move aliases, pull by alias or number."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from infra.errors import UserError
from registry.errors import RegistryError, first_line
from registry.identity import MODEL_NAME, ModelIdentity, folder_digest
from registry.lineage import DatasetReference
from registry.pyfunc_model import BUNDLE, EXAMPLE_PARAMETERS, MuseNetModel, example, signature
from registry.store import Registry

CANDIDATE, CHAMPION = "candidate", "champion"
REQUIREMENTS = ("torch", "numpy", "safetensors", "pydantic", "numba", "mido", "scikit-learn", "mlflow", "pyarrow")
"""Packages that a served model needs beside this one."""


class UnknownModel(UserError, LookupError):
    """An alias or number without a version; the message lists those that exist."""


@dataclass(frozen=True)
class RegisteredModel:
    """A version of the registered model `musenet`."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    dataset: str
    """`name@digest` of the dataset version that it was trained on."""
    tags: Mapping[str, str]

    @property
    def uri(self) -> str:
        return f"models:/{MODEL_NAME}/{self.version}"

    @property
    def identity(self) -> ModelIdentity:
        """The identity that its pieces carry."""
        tags = self.tags
        return ModelIdentity(
            version=self.version, digest=tags.get("bundle", ""), dataset=self.dataset, run=tags.get("run", "")
        )


def register(
    registry: Registry, run_id: str, bundle: Path, dataset: DatasetReference, tags: Mapping[str, str], card: str
) -> RegisteredModel:
    """Register a bundle as a new version, or return the version that already has the same files.

    `bundle`: folder with the files that `modeling.generation.ModelBundle.load` reads. `card`: Markdown.
    """
    digest = folder_digest(bundle)
    for known in list_models(registry):
        if known.tags.get("bundle") == digest:
            return known
    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    try:
        with mlflow.start_run(run_id=run_id):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=MuseNetModel(),
                artifacts={BUNDLE: str(bundle)},
                signature=signature(),
                input_example=(example(), EXAMPLE_PARAMETERS),
                pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in REQUIREMENTS],
            )
        if not registry.client.search_registered_models(f"name = '{MODEL_NAME}'"):
            registry.client.create_registered_model(MODEL_NAME)
        created = registry.client.create_model_version(
            MODEL_NAME, source=info.model_uri, run_id=run_id, model_id=info.model_id
        )
        version = str(created.version)
        registry.client.update_model_version(MODEL_NAME, version, description=card)
        all_tags = {"bundle": digest, "dataset": f"{dataset.name}@{dataset.digest}", **tags}
        for key, value in all_tags.items():
            registry.client.set_model_version_tag(MODEL_NAME, version, key, value)
    except MlflowException as error:
        raise RegistryError(f"the model cannot be registered: {first_line(error)}") from error
    return find_model(registry, version)


def set_alias(registry: Registry, version: str, alias: str) -> None:
    """Move an alias to a version. Raises RegistryError for a name that MLflow reserves."""
    try:
        registry.client.set_registered_model_alias(MODEL_NAME, alias, version)
    except MlflowException as error:
        raise RegistryError(f"version {version} cannot be named {alias!r}: {first_line(error)}") from error


def list_models(registry: Registry) -> list[RegisteredModel]:
    """Return all versions, oldest first."""
    aliases = _aliases(registry)
    versions = registry.client.search_model_versions(f"name = '{MODEL_NAME}'")
    return sorted((_model(version, aliases) for version in versions), key=lambda model: int(model.version))


def find_model(registry: Registry, reference: str) -> RegisteredModel:
    """Return the version of an alias (`champion`) or a number. Raises UnknownModel."""
    models = list_models(registry)
    for model in models:
        if reference == model.version or reference in model.aliases:
            return model
    if not models:
        raise UnknownModel(f"no model {reference!r}: none is registered yet; `musenet demo` makes a first one")
    known = [alias for model in models for alias in model.aliases] + [model.version for model in models]
    raise UnknownModel(f"no model {reference!r}; there are: {', '.join(known)}")


def pull(registry: Registry, model: RegisteredModel) -> Path:
    """Return the folder with the version's bundle, copied to this machine. Raises RegistryError."""
    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    try:
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=model.uri))
    except (MlflowException, OSError) as error:
        raise RegistryError(f"version {model.version} cannot be pulled: {first_line(error)}") from error
    bundle = folder / "artifacts" / BUNDLE
    return bundle if bundle.exists() else next((folder / "artifacts").iterdir())


def _aliases(registry: Registry) -> dict[str, str]:
    """Return the version number by alias."""
    try:
        return dict(registry.client.get_registered_model(MODEL_NAME).aliases)
    except MlflowException:  # nothing is registered yet
        return {}


def _model(version: ModelVersion, aliases: Mapping[str, str]) -> RegisteredModel:
    number = str(version.version)
    own = tuple(sorted(alias for alias, target in aliases.items() if str(target) == number))
    return RegisteredModel(number, own, str(version.run_id), version.tags.get("dataset", ""), dict(version.tags))
