"""The interface of the two forms of a backup: a folder, which holds several and each file once, and a single file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from flows.backup.contents import Contents, DamagedBackup, StoredFile
from flows.backup.lake_files import OpenFile
from infra.errors import message_of

BLOCK = 2**20
"""Bytes read at once."""


class Target(Protocol):
    """Where a backup is written to."""

    scratch: Path
    """A folder for temporary files."""

    def known(self, local: str) -> Mapping[str, StoredFile]:
        """Return the files of the last backup of the same lake, none where there is none."""
        ...

    def has(self, file: StoredFile) -> bool:
        """True if the content of a file is there already."""
        ...

    def add(self, opened: OpenFile) -> StoredFile:
        """Copy a file."""
        ...

    def finish(self, contents: Contents) -> str:
        """Write the list of contents, which makes it a backup; return its name."""
        ...


class Source(Protocol):
    """A backup that is read."""

    name: str
    contents: Contents

    def open(self, path: str, file: StoredFile) -> AbstractContextManager[BinaryIO]:
        """Open the content of a file. Raises DamagedBackup for one that is missing or cannot be opened."""
        ...

    def place(self, path: str, file: StoredFile) -> str:
        """Return where the content of a file lies, for errors."""
        ...

    @property
    def remedy(self) -> str:
        """What to do where the content of a file is damaged or missing."""
        ...


class Copying:
    """A file that is read once: its bytes with their SHA-256 and their number."""

    def __init__(self, opened: OpenFile) -> None:
        self._opened = opened
        self._digest = hashlib.sha256()
        self._size = 0

    def read(self, size: int = BLOCK) -> bytes:
        """Read a block; empty at the end. Raises RunError."""
        block = self._opened.read(size)
        self._digest.update(block)
        self._size += len(block)
        return block

    def stored(self) -> StoredFile:
        """Return what has been read, as an entry of the list."""
        modified = self._opened.status.st_mtime_ns
        return StoredFile(size=self._size, sha256=self._digest.hexdigest(), modified=modified, stamp=self._opened.stamp)


def read_checked(source: Source, path: str, file: StoredFile, take: Callable[[bytes], object]) -> None:
    """Read the content of a file, hand it over block by block, and check it. Raises DamagedBackup."""
    digest = hashlib.sha256()
    with source.open(path, file) as stored:
        while block := _read(source, path, file, stored):
            digest.update(block)
            take(block)
    if digest.hexdigest() != file.sha256:
        raise damaged(source, path, file, "is damaged: its SHA-256 is another")


def damaged(source: Source, path: str, file: StoredFile, how: str) -> DamagedBackup:
    """Return the error for the content of a file that is not as it was written."""
    return DamagedBackup(f"{source.place(path, file)}, the content of {path}, {how}; {source.remedy}")


def _read(source: Source, path: str, file: StoredFile, stored: BinaryIO) -> bytes:
    try:
        return stored.read(BLOCK)
    except OSError as error:
        raise damaged(source, path, file, f"cannot be read: {message_of(error)}") from error
