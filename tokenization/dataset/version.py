"""Dataset versions: immutable, content-addressed, found by name and digest.

datasets/<name>/<digest>/{dataset.json, manifest.parquet, shards.parquet, vocabulary.json, card.html,
                          croissant.json, train/, validation/, test/}
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from upath import UPath

from infra.errors import UserError, unknown_name
from infra.files import STAGING_PREFIX, publish_folder, remove_abandoned, staging_folder
from infra.lake import Lake
from infra.object_store import Folder, folders_in, reachable, read_all
from tokenization.dataset.manifest import read_manifest
from tokenization.encodings import Encoding, get_encoding
from tokenization.vocabulary import Vocabulary

DESCRIPTION = "dataset.json"
"""Written last: a version without it is not there."""
SHARDS = "shards.parquet"
"""The shards of a version with their keys and statistics."""
FILES = (DESCRIPTION, "manifest.parquet", SHARDS, "vocabulary.json", "card.html", "croissant.json")
"""What a version holds besides its shards."""
DIGEST_LENGTH = 32
"""Hexadecimal digits; MLflow keeps at most 36 characters of a dataset's digest."""


@dataclass(frozen=True)
class DatasetVersion:
    """A published version."""

    name: str
    digest: str
    folder: Folder
    """In the lake, which may be an object store."""
    description: dict[str, Any]
    """The content of `dataset.json`."""

    @property
    def vocabulary(self) -> Vocabulary:
        with reachable(self.folder):
            return Vocabulary.from_json((self.folder / "vocabulary.json").read_text(encoding="utf-8"))

    @property
    def encoding(self) -> Encoding:
        about = self.description["encoding"]
        return get_encoding(about["name"], self.vocabulary, about["time"])

    @cached_property
    def manifest(self) -> pl.DataFrame:
        """Columns as in `manifest.SCHEMA`."""
        with reachable(self.folder):
            return read_manifest(self.folder / "manifest.parquet")

    @property
    def path(self) -> Path:
        """The folder on this machine's disk, of a version that `local` gave."""
        if not isinstance(self.folder, Path):
            raise TypeError(f"{self} lies in an object store; take its `local` copy")
        return self.folder

    def local(self, lake: Lake) -> DatasetVersion:
        """This version on this machine's disk; from an object store it is copied once, and checked.

        Raises UserError for a shard that is not what was published, RunError for a store that cannot be used.
        """
        if isinstance(self.folder, Path):
            return self
        home = lake.cache / "datasets" / self.name
        if not (home / self.digest).exists():
            remove_abandoned(home)
            with staging_folder(home) as staged:
                with reachable(self.folder):
                    _download(self, staged)
                with contextlib.suppress(FileExistsError):  # another process has just copied it
                    publish_folder(staged, home / self.digest)
        return read_version(home / self.digest)

    def __str__(self) -> str:
        return f"{self.name}@{self.digest[:12]}"


def _download(version: DatasetVersion, staged: Path) -> None:
    names = [*FILES, *version.description["shards"]]
    for folder in {(staged / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    store = UPath(version.folder)
    store.fs.get([(store / name).path for name in names], [str(staged / name) for name in names])  # side by side
    for path, sha256 in version.description["shards"].items():
        with (staged / path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            remedy = f"delete {version.folder} and ingest the collections again"
            raise UserError(f"{version.folder}/{path} is not what was published; {remedy}")


def canonical_digest(content: object) -> str:
    """A digest of anything that JSON can say, independent of key order and machine."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def read_version(folder: Folder) -> DatasetVersion:
    """The version published in a folder."""
    return _described(folder, (folder / DESCRIPTION).read_bytes())


def _described(folder: Folder, text: bytes) -> DatasetVersion:
    description = json.loads(text)
    return DatasetVersion(description["name"], description["digest"], folder, description)


def dataset_versions(lake: Lake, name: str | None = None) -> list[DatasetVersion]:
    """Published versions, oldest first: of one dataset or of all."""
    homes = [home for home in folders_in(lake.datasets) if name in (None, home.name)]
    folders = [folder for home in homes for folder in folders_in(home) if not folder.name.startswith(STAGING_PREFIX)]
    texts = zip(folders, read_all([folder / DESCRIPTION for folder in folders]))
    versions = [_described(folder, text) for folder, text in texts if text is not None]
    return sorted(versions, key=lambda version: (version.description["created"], version.digest))


def find_version(lake: Lake, reference: str) -> DatasetVersion:
    """The version of `NAME` (its newest) or `NAME@DIGEST` (a prefix is enough). Raises UserError."""
    name, _, digest = reference.partition("@")
    versions = dataset_versions(lake, name) if name else []
    if not versions:
        known = dict.fromkeys(version.name for version in dataset_versions(lake))
        raise unknown_name("dataset", name, known, "make one with `musenet ingest PATH --name NAME`")
    chosen = [version for version in versions if version.digest.startswith(digest)]
    if not chosen:
        raise unknown_name(f"version of dataset {name}", digest, [version.digest[:12] for version in versions])
    if digest and len(chosen) > 1:
        raise UserError(f"{reference!r} fits {len(chosen)} versions; give more digits of the digest")
    return chosen[-1]


def find_by_input(lake: Lake, name: str, input_key: str) -> DatasetVersion | None:
    """The version of a dataset made from exactly these files and settings, found without reading them."""
    for version in reversed(dataset_versions(lake, name)):
        if version.description["input_key"] == input_key:
            return version
    return None
