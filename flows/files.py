"""Writing that never leaves half a file or folder under its final name.

Local files are written under a temporary name, synced and renamed. An object store needs no such care: an object is
there whole or not at all.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from upath import UPath

from flows.errors import UserError

Folder = Path | UPath
"""A folder or file on disk or in an object store."""

STAGING_PREFIX = ".staging-"


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
        _sync(path)
    _sync(staged)
    if final.exists():
        raise FileExistsError(f"{final} exists already")
    staged.rename(final)
    _sync(final.parent)


def write_atomically(path: Folder, data: bytes) -> None:
    """Write a file so that readers see all of it or the one before."""
    if not isinstance(path, Path):
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{STAGING_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        staged.write_bytes(data)
        _sync(staged)
        staged.replace(path)
        _sync(path.parent)
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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
