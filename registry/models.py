"""Model versions: listed, found by alias or number, and named by aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from infra.errors import UserError
from registry.errors import RegistryError, first_line
from registry.identity import MODEL_NAME, ModelIdentity
from registry.store import Registry

CANDIDATE, CHAMPION = "candidate", "champion"
REMEDY = "`musenet models import starter --alias champion` brings a first one"
BUNDLE_TAG, MANIFEST_TAG = "bundle", "manifest"
"""Tags of a version: the digest of its bundle, and that of the manifest of all its files."""


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
            version=self.version, digest=tags.get(BUNDLE_TAG, ""), dataset=self.dataset, run=tags.get("run", "")
        )


def set_alias(registry: Registry, version: str, alias: str) -> None:
    """Move an alias to a version. Raises RegistryError for a name that MLflow reserves."""
    try:
        registry.client.set_registered_model_alias(MODEL_NAME, alias, version)
    except MlflowException as error:
        raise RegistryError(f"version {version} cannot be named {alias!r}: {first_line(error)}") from error


def tag_version(registry: Registry, version: str, name: str, value: str) -> None:
    """Set a tag of a version. Raises RegistryError."""
    try:
        registry.client.set_model_version_tag(MODEL_NAME, version, name, value)
    except MlflowException as error:
        raise RegistryError(f"version {version} cannot be tagged: {first_line(error)}") from error


def retag_version(registry: Registry, model: RegisteredModel, name: str, values: Mapping[str, str]) -> None:
    """Set all tags of a version whose names are `name` or begin with `name.`, by what follows; others of them go.

    Raises RegistryError.
    """
    given = {f"{name}{rest}": value for rest, value in values.items()}
    try:
        for old in model.tags:
            if (old == name or old.startswith(f"{name}.")) and old not in given:
                registry.client.delete_model_version_tag(MODEL_NAME, model.version, old)
    except MlflowException as error:
        raise RegistryError(f"version {model.version} cannot be tagged: {first_line(error)}") from error
    for tag, value in given.items():
        tag_version(registry, model.version, tag, value)


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
        raise UnknownModel(f"no model {reference!r}: none is registered yet; {REMEDY}")
    known = [alias for model in models for alias in model.aliases] + [model.version for model in models]
    raise UnknownModel(f"no model {reference!r}; there are: {', '.join(known)}")


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
