"""Backups in a folder: the content of each file once, by its SHA-256, and a list of files for each backup.

objects/ab/<SHA-256>     content of files, never changed
backups/<name>.json      list of a backup's contents, written last
lock                     held while a backup is written

What has not changed since the last backup is not copied, and not even read: dataset versions, parts of the store and
models are immutable, and any other file shows by its size, times and number that it was written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flows.backup.contents import Contents, DamagedBackup, StoredFile, parse_contents
from flows.backup.forms import Copying, damaged
from flows.backup.lake_files import OpenFile
from infra.errors import UserError, message_of, unknown_name
from infra.files import remove_abandoned, staging_folder, sync, write_private
from infra.locks import exclusive

OBJECTS, BACKUPS, LOCK = "objects", "backups", "lock"
FOLDER_MODE, FILE_MODE = 0o700, 0o600
"""For the owner alone: the databases may hold what others must not read."""


class BackupFolder:
    """A folder that a backup is written to."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self.scratch = scratch
        self._path = path
        self._number = 0

    def known(self, local: str) -> Mapping[str, StoredFile]:
        for name in reversed(backup_names(self._path)):
            try:
                contents = read_contents(self._path, name)
            except DamagedBackup:  # all is read again
                continue
            if contents.local == local:
                return contents.files
        return {}

    def has(self, file: StoredFile) -> bool:
        path = object_path(self._path, file)
        return path.exists() and path.stat().st_size == file.size

    def add(self, opened: OpenFile) -> StoredFile:
        self._number += 1
        scratch, copying = self.scratch / str(self._number), Copying(opened)
        scratch.touch(mode=FILE_MODE)
        with scratch.open("wb") as written:
            while block := copying.read():
                written.write(block)
        stored = copying.stored()
        if self.has(stored):
            scratch.unlink()
            return stored
        path = object_path(self._path, stored)
        path.parent.mkdir(exist_ok=True)
        sync(scratch)
        scratch.replace(path)
        sync(path.parent)
        return stored

    def finish(self, contents: Contents) -> str:
        sync(self._path / OBJECTS)
        name, data = contents.serialised()
        write_private(_list_path(self._path, name), data)
        return name

    def keep(self, newest: int) -> int:
        """Remove all but the newest backups and content that none of them needs; return how many went.

        Lists go first: killed in between, it leaves content that nothing names, for the next time. Raises
        DamagedBackup where a list cannot be read, as what it needs is not known.
        """
        names = backup_names(self._path)
        old = names[:-newest]
        stays = {file.sha256 for name in names[len(old) :] for file in read_contents(self._path, name).files.values()}
        for name in old:
            _list_path(self._path, name).unlink()
        for content in (self._path / OBJECTS).glob("??/*"):
            if content.name not in stays:
                content.unlink()
        return len(old)


class FolderSource:
    """A backup in a folder."""

    def __init__(self, path: Path, name: str | None) -> None:
        """`name`: of the backup, or its beginning; None for the newest. Raises UserError and DamagedBackup."""
        names = backup_names(path)
        if not names:
            raise UserError(f"{path} holds no whole backup; make one with `musenet backup --to {path}`")
        matching = names[-1:] if name is None else [each for each in names if each.startswith(name)]
        if not matching:
            raise unknown_name("backup", str(name), names)
        if len(matching) > 1:
            raise UserError(f"{name!r} fits {len(matching)} backups; give more digits")
        self.name = matching[0]
        self.contents = read_contents(path, self.name)
        self._path = path

    @contextmanager
    def open(self, path: str, file: StoredFile) -> Iterator[BinaryIO]:
        try:
            stored = object_path(self._path, file).open("rb")
        except FileNotFoundError:
            raise damaged(self, path, file, "is missing") from None
        except OSError as error:
            raise damaged(self, path, file, f"cannot be read: {message_of(error)}") from error
        with stored:
            yield stored

    def place(self, path: str, file: StoredFile) -> str:
        return str(object_path(self._path, file))

    @property
    def remedy(self) -> str:
        return "once it is removed, the next backup copies it again, if the lake still has it"


@contextmanager
def opened_folder(path: Path) -> Iterator[BackupFolder]:
    """Open a folder for a backup; one at a time. Raises UserError for a folder of other files, and while it is used."""
    if path.is_dir() and any(path.iterdir()) and not (path / BACKUPS).is_dir():
        raise UserError(f"{path} holds other files; name a new folder, or one that holds backups")
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        (path / BACKUPS).mkdir(exist_ok=True)
        (path / OBJECTS).mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be a folder for backups: {message_of(error)}") from error
    with exclusive(path / LOCK, f"another backup is being written to {path}"):
        remove_abandoned(path)
        remove_abandoned(path / BACKUPS)
        with staging_folder(path) as scratch:
            scratch.chmod(FOLDER_MODE)
            yield BackupFolder(path, scratch)


def backup_names(path: Path) -> list[str]:
    """Return the names of the backups in a folder, oldest first."""
    return sorted(each.stem for each in (path / BACKUPS).glob("[!.]*.json"))


def read_contents(path: Path, name: str) -> Contents:
    """Read the list of a backup. Raises DamagedBackup."""
    place = _list_path(path, name)
    return parse_contents(name, place.read_bytes(), str(place))


def object_path(path: Path, file: StoredFile) -> Path:
    """Return where a folder keeps the content of a file."""
    return path / OBJECTS / file.sha256[:2] / file.sha256


def _list_path(path: Path, name: str) -> Path:
    return path / BACKUPS / f"{name}.json"
