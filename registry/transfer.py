"""Versions as single files, which go from one registry to another, and versions that are deleted.

A file is a tar: `version.json`, then the version's folder below `files/`, whose manifest has the SHA-256 of each file.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import UserError, message_of
from infra.files import discard, staging_file, staging_folder
from infra.settings import one_line
from registry.errors import RegistryError, registry_errors
from registry.identity import FILES, MODEL_NAME
from registry.lineage import DatasetReference
from registry.manifest import check_manifest
from registry.models import BUNDLE_TAG, MANIFEST_TAG, RegisteredModel
from registry.publishing import register
from registry.pulling import cache_folder, local_folder, pull_version
from registry.runs import open_run
from registry.store import Registry

FORMAT: Final = 1
ABOUT, FOLDER = "version.json", "files"
OF_PLACE = (BUNDLE_TAG, MANIFEST_TAG, "dataset", "gate")
"""Tags that are made anew where a version is imported, with those whose names go on behind a point."""


class About(BaseModel):
    """What a file says of its version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = FORMAT
    version: str
    """Its number where it was exported."""
    dataset: str
    tags: dict[str, str]
    card: str


def export_version(registry: Registry, model: RegisteredModel, file: Path) -> None:
    """Write a version to a file, atomically. Raises RegistryError, and UserError for a file that cannot be written."""
    folder = pull_version(registry, model)
    card = card_of(registry, model)
    about = About(version=model.version, dataset=model.dataset, tags=dict(model.tags), card=card)
    try:
        with staging_folder(file.parent) as staged, staging_file(file) as written:
            (staged / ABOUT).write_text(about.model_dump_json(indent=1), encoding="utf-8")
            with tarfile.open(written, "w") as tar:
                tar.add(staged / ABOUT, ABOUT, filter=_plain)
                tar.add(folder, FOLDER, filter=_plain)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or message_of(error)}") from error


def import_version(registry: Registry, file: Path) -> RegisteredModel:
    """Register the version in a file, or return the one that has its bundle; all its files are checked first.

    It gets the code of this installation. Raises UserError for a file that is none, ChangedFile and RegistryError.
    """
    with staging_folder(registry.cache) as staged:
        try:
            with tarfile.open(file) as tar:
                tar.extractall(staged, filter="data")
            about = About.model_validate_json((staged / ABOUT).read_bytes())
        except ValidationError as error:
            raise UserError(f"{file} is no version of format {FORMAT}: {one_line(error, About)}") from error
        except (OSError, tarfile.TarError) as error:
            raise UserError(f"{file} is no exported version: {message_of(error)}") from error
        check_manifest(staged / FOLDER, about.tags.get(MANIFEST_TAG, ""))
        name, _, digest = about.dataset.partition("@")
        dataset = DatasetReference(name, digest, "", {})
        tags = {key: value for key, value in about.tags.items() if key.partition(".")[0] not in OF_PLACE}
        run = tags.get("run", "")
        run_id = open_run(registry, run, f"{tags.get('preset', MODEL_NAME)}-{run}", {"dataset": about.dataset}, dataset)
        tags["imported"] = f"version {about.version}"
        files, name = staged / FOLDER / FILES, f"imported-{run}"
        return register(registry, run_id, files, dataset, tags, about.card, name=name, pages=_pages(staged / FOLDER))


def _pages(folder: Path) -> dict[str, str]:
    """Return the pages about a version that lie in its folder."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}


def card_of(registry: Registry, model: RegisteredModel) -> str:
    """Return a version's model card, as Markdown. Raises RegistryError."""
    with registry_errors():
        return str(registry.client.get_model_version(MODEL_NAME, model.version).description or "")


def delete_version(registry: Registry, model: RegisteredModel) -> None:
    """Delete a version and its files on this machine; those in a store elsewhere are left to `mlflow gc`.

    Raises UserError for a version that has an alias, and RegistryError.
    """
    if model.aliases:
        raise UserError(f"version {model.version} is {', '.join(model.aliases)}: give that to another version first")
    folder = local_folder(registry, model)
    with registry_errors():
        source = str(registry.client.get_model_version(MODEL_NAME, model.version).source)
        registry.client.delete_model_version(MODEL_NAME, model.version)
        if source.startswith("models:/m-"):
            registry.client.delete_logged_model(source.removeprefix("models:/"))
    try:
        for unused in (folder, cache_folder(registry, model)):
            if unused is not None and unused.exists():
                discard(unused)
    except OSError as error:
        raise RegistryError(f"the files of version {model.version} cannot be removed: {error}") from error


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what Python wrote beside the modules, and whose the files are here."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
