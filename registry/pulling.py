"""Pulling: a version's files on this machine, each checked against what was registered."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow.exceptions import MlflowException

from infra.files import publish_folder, staging_folder
from registry.errors import RegistryError, first_line
from registry.identity import FILES, MODEL_NAME
from registry.manifest import ChangedFile, check_manifest
from registry.models import MANIFEST_TAG, RegisteredModel
from registry.store import Registry


def pull(registry: Registry, model: RegisteredModel) -> Path:
    """Return the folder with a version's bundle, copied to this machine where it is not here. Raises RegistryError."""
    return pull_version(registry, model) / FILES


def pull_version(registry: Registry, model: RegisteredModel) -> Path:
    """Return the folder of a version, which MLflow too can load. Raises RegistryError.

    Of a store in folders of this machine it is the version's own; from elsewhere it is copied once into the cache. Its
    files are checked each time: ChangedFile for one that is not the one that was registered.
    """
    folder = local_folder(registry, model) or _cached(registry, model)
    check_manifest(folder, model.tags.get(MANIFEST_TAG))
    return folder


def is_intact(registry: Registry, model: RegisteredModel) -> bool:
    """True for a version whose files are those that were registered; of a store elsewhere it is assumed.

    Raises RegistryError.
    """
    folder = local_folder(registry, model)
    try:
        if folder is not None:
            check_manifest(folder, model.tags.get(MANIFEST_TAG))
    except ChangedFile:
        return False
    return MANIFEST_TAG in model.tags


def local_folder(registry: Registry, model: RegisteredModel) -> Path | None:
    """Return the version's folder in a store on this machine, None for one elsewhere."""
    try:
        uri = urlsplit(registry.client.get_model_version_download_uri(MODEL_NAME, model.version))
    except MlflowException as error:
        raise RegistryError(f"version {model.version} cannot be pulled: {first_line(error)}") from error
    return Path(unquote(uri.path)) if uri.scheme in ("", "file") else None


def cache_folder(registry: Registry, model: RegisteredModel) -> Path:
    """Return the folder of a version that is copied from a store elsewhere."""
    return registry.cache / model.tags.get(MANIFEST_TAG, f"version-{model.version}")


def _cached(registry: Registry, model: RegisteredModel) -> Path:
    folder = cache_folder(registry, model)
    if folder.exists():
        return folder
    from mlflow.artifacts import download_artifacts  # loads the clients of all stores

    try:
        with staging_folder(registry.cache) as staged, registry.as_default():
            download_artifacts(
                artifact_uri=model.uri, dst_path=str(staged), tracking_uri=registry.uri, registry_uri=registry.uri
            )
            check_manifest(staged, model.tags.get(MANIFEST_TAG))
            publish_folder(staged, folder)
    except FileExistsError:  # another process was first
        pass
    except (MlflowException, OSError) as error:
        raise RegistryError(f"version {model.version} cannot be pulled: {first_line(error)}") from error
    return folder
