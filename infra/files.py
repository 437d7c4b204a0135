"""Writing that never leaves half a file or folder under its final name.

Local files are written under a temporary name, synced and renamed. An object store needs no such care: an object is
there whole or not at all.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from upath import UPath

from infra.errors import RunError, UserError

Folder = Path | UPath
"""A folder or file on disk or in an object store."""

STAGING_PREFIX = ".staging-"
STORE_LIBRARIES = frozenset({"botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure"})
"""Whose errors, besides OSError, say that an object store did not do what it was asked."""


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's directory entries, to disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reachable(folder: Folder) -> Iterator[None]:
    """Work with a folder; the errors of an object store become a RunError that names it, those of a disk stay."""
    try:
        yield
    except Exception as error:
        of_a_store = isinstance(error, OSError) or type(error).__module__.split(".")[0] in STORE_LIBRARIES
        if isinstance(folder, Path) or not of_a_store:
            raise
        words = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"{folder} cannot be used: {words}; see to address and credentials, and run again") from error


def folders_in(folder: Folder) -> list[Folder]:
    """The folders in a folder, by name; none where it does not exist.

    Raises RunError for an object store that cannot be used or a bucket that does not exist.
    """
    if isinstance(folder, Path):
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [folder / name for name in _listed(folder, "directory")]


def files_in(folder: Folder) -> list[str]:
    """The names of the files in a folder, sorted; none where it does not exist. Raises RunError, as `folders_in`."""
    if isinstance(folder, Path):
        return sorted(path.name for path in os.scandir(folder) if path.is_file()) if folder.is_dir() else []
    return _listed(folder, "file")


def remembered(folder: Folder) -> Folder:
    """The same folder; in an object store with one listing of all that is in it now, so that sizes cost no request."""
    if isinstance(folder, Path):
        return folder
    view = UPath(str(folder), use_listings_cache=True, skip_instance_cache=True)
    view.fs.find(view.path)
    return view


def _listed(folder: UPath, kind: str) -> list[str]:
    with reachable(folder):
        try:
            entries = folder.fs.ls(folder.path, detail=True)
        except FileNotFoundError:
            bucket = folder.path.split("/")[0]
            if bucket and not folder.fs.exists(bucket):
                raise RunError(f"{folder} cannot be used: there is no bucket {bucket!r}; make it first") from None
            return []
    return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == kind)


def contents(files: Sequence[Folder]) -> list[bytes | None]:
    """The bytes of some files of one disk or object store, None for those that do not exist. Raises RunError."""
    if not files or isinstance(files[0], Path):
        return [file.read_bytes() if file.is_file() else None for file in files]
    with reachable(files[0]):
        paths = [UPath(file).path for file in files]
        found = UPath(files[0]).fs.cat_ranges(paths, None, None, on_error="return")  # whole ones, side by side
        for outcome in found:
            if isinstance(outcome, Exception) and not isinstance(outcome, FileNotFoundError):
                raise outcome
    return [None if isinstance(outcome, Exception) else outcome for outcome in found]


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A new folder beside the final one; removed with all it holds unless it has been published."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{STAGING_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_folder(staged: Path, final: Path) -> None:
    """Give a staged folder its final name once all its bytes are on disk.

    Raises FileExistsError when there is one already: published folders are never edited.
    """
    for path in sorted(staged.rglob("*"), reverse=True):
        sync(path)
    sync(staged)
    if final.exists():
        raise FileExistsError(f"{final} exists already")
    staged.rename(final)
    sync(final.parent)


def write_atomically(path: Folder, data: bytes) -> None:
    """Write a file so that readers see all of it or the one before."""
    if not isinstance(path, Path):
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{STAGING_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        staged.write_bytes(data)
        sync(staged)
        staged.replace(path)
        sync(path.parent)
    finally:
        staged.unlink(missing_ok=True)


def remove_abandoned(parent: Folder) -> None:
    """Delete staging folders and files of processes that no longer run."""
    if not isinstance(parent, Path):
        return
    for path in parent.glob(f"{STAGING_PREFIX}*"):
        owner = path.name.removeprefix(STAGING_PREFIX).split("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def exclusive(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock file for the block; it frees itself when the process ends. Raises UserError(busy)."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{busy}; wait for it, or stop it") from None
        yield
