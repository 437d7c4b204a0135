"""Atomic writes: a file or folder appears under its final name whole and on disk, or not at all.

Local files are written under a temporary name, synced and renamed. An object store needs no such care: an object is
there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.object_store import Folder

STAGING_PREFIX = ".staging-"
"""Beginning of all temporary names, followed by the pid of the process that writes there."""


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's directory entries, to disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`; remove it with all it holds unless it has been published by then."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = _staging_path(parent)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staging_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file written there replaces `path`, synced, when the block succeeds.

    Readers see the whole new file or the one before. Creates the folder.
    """
    with _unpublished(path) as staged:
        yield staged
        sync(staged)
        staged.replace(path)
        sync(path.parent)


def write_atomically(path: Folder, data: bytes) -> None:
    """Write a file so that readers see all of it or the one before. Creates the folder."""
    if isinstance(path, Path):
        with staging_file(path) as staged:
            staged.write_bytes(data)
    else:
        path.write_bytes(data)


def write_private(path: Path, data: bytes) -> None:
    """Write a file as `write_atomically` does, for its owner's eyes only."""
    with staging_file(path) as staged:
        staged.touch(mode=0o600)
        staged.write_bytes(data)


def publish_new(path: Path, data: bytes) -> None:
    """Write a file that readers see whole, unless there is one by this name, which stays. Creates the folder."""
    with _unpublished(path) as staged:
        staged.write_bytes(data)
        sync(staged)
        with contextlib.suppress(FileExistsError):  # published by another process since
            os.link(staged, path)
        sync(path.parent)


def publish_folder(staged: Path, final: Path) -> None:
    """Give a staged folder its final name once all its bytes are on disk.

    Raises FileExistsError if that name is taken: published folders are never edited.
    """
    _sync_tree(staged)
    if final.exists():
        raise FileExistsError(f"{final} exists already")
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # published by another process since
            raise FileExistsError(f"{final} exists already") from error
        raise
    sync(final.parent)


def replace_folder(staged: Path, final: Path) -> None:
    """Give a staged folder its final name once all its bytes are on disk, in place of the folder there, if any.

    A reader that comes between the two renames finds no folder. A failed swap puts the folder before back.
    """
    if not final.exists():
        publish_folder(staged, final)
        return
    _sync_tree(staged)
    previous = _staging_path(final.parent, final.name)
    final.rename(previous)
    try:
        staged.rename(final)
    except BaseException:
        previous.rename(final)
        raise
    sync(final.parent)
    shutil.rmtree(previous, ignore_errors=True)


def link(source: str, target: str) -> None:
    """Give a file a second name, or copy it where the file system cannot: for files that are only read."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def discard(path: Path) -> None:
    """Delete a file or folder so that it is there whole or not at all, even if the process is killed meanwhile.

    A folder gets a temporary name first; what is left under it is deleted by `remove_abandoned`.
    """
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    hidden = path.rename(_staging_path(path.parent, path.name))
    sync(path.parent)
    shutil.rmtree(hidden, ignore_errors=True)


def remove_abandoned(parent: Folder) -> None:
    """Delete staging files and folders of processes that no longer run."""
    if not isinstance(parent, Path):
        return
    for path in parent.glob(f"{STAGING_PREFIX}*"):
        owner = path.name.removeprefix(STAGING_PREFIX).split("-")[0]
        if owner.isdecimal() and not _is_running(int(owner)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # or no pid at all
        return False
    except PermissionError:  # of another user
        return True
    return True


@contextmanager
def _unpublished(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, whose folder is created, and remove what is left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = _staging_path(path.parent, path.name)
    try:
        yield staged
    finally:
        staged.unlink(missing_ok=True)


def _staging_path(parent: Path, name: str = "") -> Path:
    return parent / f"{STAGING_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}{f'-{name}' if name else ''}"


def _sync_tree(folder: Path) -> None:
    """Flush all files and folders below a folder, and itself, to disk: contents before the entries that name them.

    A file that has a second name is one of a published folder, which was flushed before it was linked.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() or path.stat().st_nlink == 1:
            sync(path)
    sync(folder)
