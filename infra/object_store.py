"""Folders on disk or in an object store, behind one interface.

`pathlib.Path` stands for the disk and `upath.UPath` for a store (`s3://`, `gs://`, `az://`, `memory://`). The
functions here cover what the two do differently: listings, many reads at once, and the errors of a store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from infra.errors import RunError, message_of

if TYPE_CHECKING:
    from upath import UPath

Folder: TypeAlias = "Path | UPath"
"""A folder or file on disk or in an object store."""

STORE_LIBRARIES = frozenset({"botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure"})
"""Packages whose errors, besides OSError, report a failed request to an object store."""


@contextmanager
def reachable(folder: Folder) -> Iterator[None]:
    """Work with a folder; turn the errors of an object store into a RunError that names it.

    Errors of a disk, and those that are not about storage, are raised as they are.
    """
    try:
        yield
    except Exception as error:
        of_a_store = isinstance(error, OSError) or type(error).__module__.split(".")[0] in STORE_LIBRARIES
        if isinstance(folder, Path) or not of_a_store:
            raise
        reason = message_of(error)
        raise RunError(f"{folder} cannot be used: {reason}; check address and credentials, and run again") from error


def folders_in(folder: Folder) -> list[Folder]:
    """Return the folders in a folder, sorted by name; none where it does not exist.

    Raises RunError for an object store that cannot be used or a bucket that does not exist.
    """
    if isinstance(folder, Path):
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [folder / name for name in _listed(folder, "directory")]


def files_in(folder: Folder) -> list[str]:
    """Return the names of the files in a folder, sorted; none where it does not exist. Raises RunError, as
    `folders_in`."""
    if isinstance(folder, Path):
        return sorted(path.name for path in os.scandir(folder) if path.is_file()) if folder.is_dir() else []
    return _listed(folder, "file")


def stamps_in(folder: Folder) -> dict[str, str]:
    """Return a key of each file in a folder, by name, that is another one once the file was written again.

    On a disk that is its size and modification time, in an object store its size and what the store tells of its
    content. Raises RunError, as `folders_in`.
    """
    if isinstance(folder, Path):
        if not folder.is_dir():
            return {}
        found = ((entry.name, entry.stat()) for entry in os.scandir(folder) if entry.is_file())
        return {name: f"{status.st_size}.{status.st_mtime_ns}" for name, status in found}
    told = ("ETag", "etag", "md5Hash", "LastModified", "created")
    return {
        name: ".".join([str(entry.get("size")), *(str(entry[key]) for key in told if key in entry)])
        for name, entry in _entries(folder, "file").items()
    }


def with_cached_listing(folder: Folder) -> Folder:
    """Return the same folder; in an object store with one cached listing of all it holds now, so that asking for
    sizes costs no further request."""
    if isinstance(folder, Path):
        return folder
    from upath import UPath  # 0.15 s, which no lake on a disk has to pay

    view = UPath(str(folder), use_listings_cache=True, skip_instance_cache=True)
    view.fs.find(view.path)
    return view


def read_all(files: Sequence[Folder]) -> list[bytes | None]:
    """Return the bytes of files of one disk or object store, None for each that does not exist.

    Objects are fetched concurrently. Raises RunError for an object store that cannot be used.
    """
    if not files or isinstance(files[0], Path):
        return [file.read_bytes() if file.is_file() else None for file in files]
    from upath import UPath

    with reachable(files[0]):
        paths = [UPath(file).path for file in files]
        found = UPath(files[0]).fs.cat_ranges(paths, None, None, on_error="return")  # no bounds: whole objects
        for outcome in found:
            if isinstance(outcome, Exception) and not isinstance(outcome, FileNotFoundError):
                raise outcome
    return [None if isinstance(outcome, Exception) else outcome for outcome in found]


def _listed(folder: UPath, kind: str) -> list[str]:
    return sorted(_entries(folder, kind))


def _entries(folder: UPath, kind: str) -> dict[str, dict[str, Any]]:
    """Return what an object store tells of the files or folders in a folder, by name."""
    with reachable(folder):
        try:
            entries = folder.fs.ls(folder.path, detail=True)
        except FileNotFoundError:
            bucket = folder.path.split("/")[0]
            if bucket and not folder.fs.exists(bucket):
                raise RunError(f"{folder} cannot be used: there is no bucket {bucket!r}; create it first") from None
            return {}
    named = ((entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in entries)
    return {name: entry for name, entry in named if entry["type"] == kind}
