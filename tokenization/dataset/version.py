"""Dataset versions: immutable, content-addressed folders.

datasets/<name>/<digest>/{dataset.json, manifest.parquet, shards.parquet, vocabulary.json, card.html,
                          croissant.json, train/, validation/, test/, originality/}

`open_version` reads a folder; `catalogue` finds folders by name and digest.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from infra.digests import file_sha256
from infra.errors import UserError
from infra.files import publish_folder, remove_abandoned, staging_folder
from infra.lake import Lake
from infra.object_store import Folder, reachable
from tokenization.dataset.description import DESCRIPTION_FILE, DatasetError, Description, parse_description
from tokenization.dataset.encoding_files import VOCABULARY_FILE, read_vocabulary
from tokenization.dataset.manifest import MANIFEST_FILE, licence_counts, read_manifest
from tokenization.dataset.shard_index import SHARD_INDEX_FILE, index_path, parse_shard_index
from tokenization.encodings import Encoding
from tokenization.vocabulary import Vocabulary

CARD_FILE = "card.html"
METADATA_FILE = "croissant.json"
FILES = (DESCRIPTION_FILE, MANIFEST_FILE, SHARD_INDEX_FILE, VOCABULARY_FILE, CARD_FILE, METADATA_FILE)
"""The files of a version besides its shards."""


@dataclass(frozen=True)
class DatasetVersion:
    """A published version: description, vocabulary, encoding, manifest and shards."""

    folder: Folder
    """In the lake, which may be an object store."""
    description: Description

    @property
    def name(self) -> str:
        """Of the dataset."""
        return self.description.name

    @property
    def digest(self) -> str:
        """Of the version's content."""
        return self.description.digest

    @cached_property
    def vocabulary(self) -> Vocabulary:
        with reachable(self.folder):
            return read_vocabulary(self.folder)

    @property
    def encoding(self) -> Encoding:
        """The encoding that the tokens of the shards are in."""
        return self.description.encoding.over(self.vocabulary)

    @cached_property
    def manifest(self) -> pl.DataFrame:
        """Columns as in `manifest.SCHEMA`."""
        with reachable(self.folder):
            return read_manifest(self.folder / MANIFEST_FILE)

    @property
    def licences(self) -> dict[str, int]:
        """Accepted pieces by licence, counted in the manifest for a version whose description does not count them."""
        counts = self.description.licences
        known = {licence: pieces for licence, pieces in counts.items() if pieces is not None}
        return known if len(known) == len(counts) else licence_counts(self.manifest)

    def shards(self, split: str) -> dict[str, str]:
        """Return SHA-256 by path of the shards of one split, in order; paths are relative to `folder`."""
        return self.description.shards_of(split)

    @property
    def path(self) -> Path:
        """The folder on this machine's disk. Raises TypeError for a version in an object store: take its `local`."""
        if not isinstance(self.folder, Path):
            raise TypeError(f"{self} lies in an object store; take its `local` copy")
        return self.folder

    def local(self, lake: Lake) -> DatasetVersion:
        """Return this version on this machine's disk; from an object store it is copied once, and checked.

        Raises UserError for a shard that differs from the published one, RunError for a store that cannot be used.
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
        return open_version(home / self.digest)

    def __str__(self) -> str:
        return self.description.reference


def open_version(folder: Folder) -> DatasetVersion:
    """Open the version published in a folder. Raises DatasetError for a folder that holds none."""
    with reachable(folder):
        try:
            text = (folder / DESCRIPTION_FILE).read_bytes()
        except FileNotFoundError as error:
            raise DatasetError(f"{folder} is not a dataset version: it has no {DESCRIPTION_FILE}") from error
    return DatasetVersion(folder, parse_description(text, folder))


def _download(version: DatasetVersion, staged: Path) -> None:
    index = parse_shard_index((version.folder / SHARD_INDEX_FILE).read_bytes())
    indexes = [index_path(shard.path) for shard in index if shard.originality is not None]
    names = [*FILES, *version.description.shards, *indexes]
    for folder in {(staged / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    from upath import UPath  # 0.15 s, which no lake on a disk has to pay

    store = UPath(version.folder)
    store.fs.get([(store / name).path for name in names], [str(staged / name) for name in names])  # side by side
    for path, sha256 in version.description.shards.items():
        if file_sha256(staged / path) != sha256:
            remedy = f"delete {version.folder} and ingest the collections again"
            raise UserError(f"{version.folder}/{path} differs from the published shard; {remedy}")
