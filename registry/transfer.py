"""Versions as single files, which go from one registry to another, and versions that are deleted.

A file is a tar that holds

    version.json     what it is: format, tags, precision
    card.md          its card
    bundle/          the version's files: weights, configuration, vocabulary, encoding, critic, lineage, and the
                     identities of what it was trained on
    pages/           pages about it, for people
    manifest.json    the SHA-256 of each of these

and no code: a version gets that of the installation that imports it. Files of format 1, which hold the version's whole
folder, are read, too.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Self

from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import UserError, message_of
from infra.files import discard, link, staging_file, staging_folder
from infra.settings import one_line
from registry.cards import CARD_FILE, whole_card
from registry.errors import RegistryError, registry_errors
from registry.identity import BUNDLE, FILES, MODEL_NAME, weights_digest
from registry.lineage import PARENT_TAG, WEIGHTS_TAG, DatasetReference
from registry.manifest import MANIFEST, check_manifest, write_manifest
from registry.models import BUNDLE_TAG, MANIFEST_TAG, RegisteredModel
from registry.publishing import register
from registry.pulling import cache_folder, local_folder, pull_version
from registry.runs import end_run, open_run, tag_of
from registry.store import Registry

FORMAT: Final = 2
ABOUT, PAGES = "version.json", "pages"
FOLDER_1 = "files"
"""The version's folder in a file of format 1."""
OF_PLACE = (BUNDLE_TAG, MANIFEST_TAG, PARENT_TAG, WEIGHTS_TAG, "dataset", "gate")
"""Tags that are made anew where a version is imported or mean nothing there, with those whose names go on behind a
point."""
PRECISION_TAG = "precision"
SOURCE = "musenet models import"
"""The command that a run names which stands for one that was trained elsewhere."""
ROUNDED = (
    "\n\n## Precision\n\nIts weights were rounded to 16 bits (float16) from those of version {version}, whose files "
    "had the digest `{digest}`.\n"
)


class About(BaseModel):
    """What a file says of its version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1, 2] = FORMAT
    version: str
    """Its number where it was exported."""
    dataset: str = Field(pattern=r"^[^@]+@[0-9a-f]{1,36}$")
    """`name@digest` of the dataset version that it was trained on."""
    tags: dict[str, str]
    card: str | None = None
    """In a file of format 1; one of format 2 has `card.md`."""


@dataclass(frozen=True)
class Exported:
    """An exported version, unpacked and checked."""

    about: About
    bundle: Path
    """Folder of its files."""
    card: str
    pages: Mapping[str, str]
    """By file name."""

    @classmethod
    def read(cls, folder: Path, source: Path) -> Self:
        """Read an unpacked file; `source` names it in errors. Raises UserError and ChangedFile."""
        try:
            about = About.model_validate_json((folder / ABOUT).read_bytes())
            if about.format == 1:
                check_manifest(folder / FOLDER_1, about.tags.get(MANIFEST_TAG, ""))
                whole = folder / FOLDER_1
                return cls(about, whole / FILES, about.card or "", _pages(whole))
            check_manifest(folder)
            card = (folder / CARD_FILE).read_text(encoding="utf-8")
            return cls(about, folder / BUNDLE, card, _pages(folder / PAGES))
        except ValidationError as error:
            raise UserError(f"{source} is no version of a format up to {FORMAT}: {one_line(error, About)}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{source} is no exported version: {message_of(error)}") from error


def export_version(
    registry: Registry,
    model: RegisteredModel,
    file: Path,
    half: bool = False,
    note: str = "",
    pages: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write a version to a file, atomically; `half`: with its weights rounded to 16 bits, which its card says.

    `note`: a further section of its card. `pages`: further ones about it, by file name. Raises RegistryError,
    WeightsError, and UserError for a file that cannot be written.
    """
    version = pull_version(registry, model)
    card = whole_card(registry, model, version) + note
    tags = dict(model.tags)
    try:
        with staging_folder(file.parent) as staged, staging_file(file) as written:
            shutil.copytree(version / FILES, staged / BUNDLE, copy_function=link)
            (staged / PAGES).mkdir()
            for name, html in {**_pages(version), **pages}.items():
                (staged / PAGES / name).write_text(html, encoding="utf-8")
            if half:
                from modeling.network.weights import round_weights  # and with it PyTorch

                round_weights(staged / BUNDLE)
                card += ROUNDED.format(version=model.version, digest=model.identity.digest)
                tags[PRECISION_TAG] = "float16"
            about = About(version=model.version, dataset=model.dataset, tags=tags)
            (staged / ABOUT).write_text(about.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")
            (staged / CARD_FILE).write_text(card, encoding="utf-8")
            write_manifest(staged)
            with tarfile.open(written, "w") as tar:
                for name in (ABOUT, CARD_FILE, MANIFEST, BUNDLE, PAGES):
                    tar.add(staged / name, name, filter=_plain)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or message_of(error)}") from error


@contextmanager
def opened_export(source: Path, scratch: Path) -> Iterator[Exported]:
    """Unpack an exported version below `scratch` for the block, or read a folder that one was unpacked into.

    All its files are checked first. Raises UserError for what is none, and ChangedFile.
    """
    if source.is_dir():
        yield Exported.read(source, source)
        return
    with staging_folder(scratch) as staged:
        try:
            with tarfile.open(source) as tar:
                tar.extractall(staged, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise UserError(f"{source} is no exported version: {message_of(error)}") from error
        yield Exported.read(staged, source)


def import_version(registry: Registry, source: Path) -> RegisteredModel:
    """Register the version in a file, or return the one that has its bundle; all its files are checked first.

    It gets the code of this installation. `source`: the file, or a folder that it was unpacked into. Raises UserError
    for what is no exported version, ChangedFile and RegistryError.
    """
    with opened_export(source, registry.cache) as found, staging_folder(registry.cache) as staged:
        about = found.about
        name, _, digest = about.dataset.partition("@")
        dataset = DatasetReference(name, digest, "", {})
        tags = {key: value for key, value in about.tags.items() if key.partition(".")[0] not in OF_PLACE}
        run = tags.get("run", "")
        run_id = _run_of(registry, run, f"{tags.get('preset', MODEL_NAME)}-{run}", dataset)
        tags |= {"imported": f"version {about.version}", WEIGHTS_TAG: weights_digest(found.bundle)}
        shutil.copytree(found.bundle, staged / BUNDLE, copy_function=link)
        bundle, name = staged / BUNDLE, f"imported-{run}"
        return register(registry, run_id, bundle, dataset, tags, found.card, name=name, pages=found.pages)


def _run_of(registry: Registry, key: str, name: str, dataset: DatasetReference) -> str:
    """Return MLflow's id of the run that trained an imported version; where that was elsewhere, of a finished one that
    stands for it."""
    run_id = open_run(registry, key, name, {"dataset": str(dataset)}, dataset, source=SOURCE)
    with registry_errors():
        if tag_of(registry, run_id, MLFLOW_SOURCE_NAME) == SOURCE:
            end_run(registry, run_id, "FINISHED")
    return run_id


def _pages(folder: Path) -> dict[str, str]:
    """Return the pages about a version that lie in a folder."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}


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
