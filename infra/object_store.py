"""Folders on disk or in an object store, behind one interface.

`pathlib.Path` stands for the disk and `upath.UPath` for a store (`s3://`, `gs://`, `az://`, `memory://`). The
functions here cover what the two do differently: listings, many reads at once, and the errors of a store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from upath import UPath

from infra.errors import RunError, message_of

Folder = Path | UPath
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


def with_cached_listing(folder: Folder) -> Folder:
    """Return the same folder; in an object store with one cached listing of all it holds now, so that asking for
    sizes costs no further request."""
    if isinstance(folder, Path):
        return folder
    view = UPath(str(folder), use_listings_cache=True, skip_instance_cache=True)
    view.fs.find(view.path)
    return view


def read_all(files: Sequence[Folder]) -> list[bytes | None]:
    """Return the bytes of files of one disk or object store, None for each that does not exist.

    Objects are fetched concurrently. Raises RunError for an object store that cannot be used.
    """
    if not files or isinstance(files[0], Path):
        return [file.read_bytes() if file.is_file() else None for file in files]
    with reachable(files[0]):
        paths = [UPath(file).path for file in files]
        found = UPath(files[0]).fs.cat_ranges(paths, None, None, on_error="return")  # no bounds: whole objects
        for outcome in found:
            if isinstance(outcome, Exception) and not isinstance(outcome, FileNotFoundError):
                raise outcome
    return [None if isinstance(outcome, Exception) else outcome for outcome in found]


def _listed(folder: UPath, kind: str) -> list[str]:
    with reachable(folder):
        try:
            entries = folder.fs.ls(folder.path, detail=True)
        except FileNotFoundError:
            bucket = folder.path.split("/")[0]
            if bucket and not folder.fs.exists(bucket):
                raise RunError(f"{folder} cannot be used: there is no bucket {bucket!r}; create it first") from None
            return []
    return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == kind)
