"""Originals: the bytes of a version's files, read again from their collections.

A version records where its collections were. A file is compared with the SHA-256 that the manifest has of it; one
that has changed, or is no longer there, gives the reason in place of its bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from flows.ingestion.sources import Collection, ContainerKind, FileRef, ReadFailure, file_refs, list_files, read_files
from flows.ingestion.sources.storage import local_path
from infra.errors import UserError, message_of
from infra.lake import Lake
from tokenization.dataset.description import CollectionInfo
from tokenization.dataset.version import DatasetVersion

LARGEST = 2**30
"""Bytes of the largest file that is read."""
LONGEST_NAME = 80
"""Characters of a name that `safe_name` keeps, the last ones."""


def read_originals(
    version: DatasetVersion, files: pl.DataFrame, lake: Lake
) -> Iterator[tuple[bytes | ReadFailure, bool]]:
    """Yield for each file its bytes and true if they are those that were ingested, or the reason there are none.

    `files`: rows of the manifest. Bytes are not known to be the same where the manifest has no SHA-256.
    """
    refs = list(_find(version.description.collections, files, lake))
    contents = read_files([ref for ref in refs if isinstance(ref, FileRef)], LARGEST)
    for ref, sha256 in zip(refs, files["sha256"], strict=True):
        data = ref if isinstance(ref, ReadFailure) else next(contents)
        if isinstance(data, ReadFailure) or sha256 is None:
            yield data, False
        elif hashlib.sha256(data).hexdigest() == sha256:
            yield data, True
        else:
            yield ReadFailure("it has other bytes now than when it was ingested"), False


def _find(collections: Sequence[CollectionInfo], files: pl.DataFrame, lake: Lake) -> Iterator[FileRef | ReadFailure]:
    """Yield the reference of each file, or the reason there is none.

    A collection is listed again only for files that do not simply lie in a folder under their paths.
    """
    infos = {info.name: info for info in collections}
    listings: dict[str, dict[str, FileRef] | ReadFailure] = {}
    for name, path in files.select("collection", "path").iter_rows():
        info = infos.get(name)
        if info is None:
            yield ReadFailure("the version does not record where its collection was")
            continue
        plain = _plain(info.location, path)
        if plain is not None:
            yield plain
            continue
        if name not in listings:
            listings[name] = _listed(info, lake)
        listing = listings[name]
        missing = ReadFailure(f"it is no longer in {info.location}")
        yield listing if isinstance(listing, ReadFailure) else listing.get(path, missing)


def _plain(location: str, path: str) -> FileRef | None:
    root = local_path(location)
    if root is None:
        return None
    file = Path(root, path)
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    return FileRef(ContainerKind.FOLDER, root, path, status.st_size) if file.is_file() else None


def _listed(info: CollectionInfo, lake: Lake) -> dict[str, FileRef] | ReadFailure:
    collection = Collection(
        name=info.name, location=info.location, include=tuple(info.include), exclude=tuple(info.exclude)
    )
    try:
        found = list_files([collection], lake.address, index_folder=lake.cache / "archives").files
    except UserError as error:
        return ReadFailure(message_of(error))
    return dict(zip(found["path"], file_refs(found)))


def safe_name(path: str) -> str:
    """Return the last part of a path as a name that is safe on every file system."""
    name = os.path.basename(path)  # noqa: PTH119 (a path in a collection, not on this machine)
    return "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in name)[-LONGEST_NAME:] or "_"
