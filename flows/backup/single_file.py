"""Backups as single files: a tar whose last entry is the list of contents.

lake/<path>              the files, under their paths in the lake
backups/<name>.json      the list

A file with several names in the lake, as shards that dataset versions share, is in it once.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self, cast

from flows.backup.contents import Contents, DamagedBackup, StoredFile, parse_contents
from flows.backup.folder import BACKUPS, FILE_MODE, FOLDER_MODE
from flows.backup.forms import Copying, damaged
from flows.backup.lake_files import OpenFile
from infra.errors import RunError, UserError, message_of
from infra.files import remove_abandoned, staging_file, staging_folder

SUFFIX = ".tar"
FILES = "lake/"
HELD = 2**24
"""Bytes up to which a file is read before it is written: its size stands before its content, and may change meanwhile.
What is larger is a model, a checkpoint or a shard, which does not."""


class BackupFile:
    """A file that a backup is written to."""

    def __init__(self, tar: tarfile.TarFile, scratch: Path) -> None:
        self.scratch = scratch
        self._tar = tar
        self._links: dict[tuple[int, int], StoredFile] = {}

    def known(self, local: str) -> Mapping[str, StoredFile]:
        return {}

    def has(self, file: StoredFile) -> bool:
        return False

    def add(self, opened: OpenFile) -> StoredFile:
        status = opened.status
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and identity in self._links:
            return self._links[identity]
        copying, size = Copying(opened), status.st_size
        content: BinaryIO = cast(BinaryIO, copying)
        if size <= HELD:
            held = b"".join(iter(copying.read, b""))
            content, size = io.BytesIO(held), len(held)
        entry = _entry(FILES + opened.path, size, status.st_mtime)
        try:
            self._tar.addfile(entry, content)
        except OSError as error:
            if error.errno is not None:  # of the disk
                raise
            raise RunError(f"{opened.path} has become shorter while it was copied; run the backup again") from error
        self._links[identity] = copying.stored()
        return self._links[identity]

    def finish(self, contents: Contents) -> str:
        name, data = contents.serialised()
        self._tar.addfile(_entry(f"{BACKUPS}/{name}.json", len(data), contents.created.timestamp()), io.BytesIO(data))
        return name


class FileSource:
    """A backup in a file."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        """Raises DamagedBackup for a tar without the list of a backup, and UserError for another file."""
        self._path, self._tar = path, tar
        entries = self._entries()
        if not entries or entries[-1].name.partition("/")[0] != BACKUPS:
            raise DamagedBackup(f"{path} is no whole backup: it does not end with a list of contents; use another one")
        self.name = Path(entries[-1].name).stem
        self.contents = parse_contents(self.name, self._content(entries[-1]).read(), f"{entries[-1].name} in {path}")
        places = {entry.name.removeprefix(FILES): entry for entry in entries[:-1]}
        self._by_content = {file.sha256: places[name] for name, file in self.contents.files.items() if name in places}

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Self]:
        """Open a file. Raises UserError for one that is no tar, and DamagedBackup."""
        try:
            tar = tarfile.open(path, "r:")  # noqa: SIM115 (errors of the block are not of the opening)
        except (OSError, tarfile.TarError) as error:
            raise UserError(f"{path} is no backup: {message_of(error)}") from error
        with tar:
            yield cls(path, tar)

    @contextmanager
    def open(self, path: str, file: StoredFile) -> Iterator[BinaryIO]:
        if file.sha256 not in self._by_content:
            raise damaged(self, path, file, "is missing")
        yield self._content(self._by_content[file.sha256])

    def place(self, path: str, file: StoredFile) -> str:
        return f"{FILES}{path} in {self._path}"

    @property
    def remedy(self) -> str:
        return "use another backup"

    def _entries(self) -> list[tarfile.TarInfo]:
        try:
            return self._tar.getmembers()
        except tarfile.TarError:  # cut off in the middle of an entry
            return []

    def _content(self, entry: tarfile.TarInfo) -> BinaryIO:
        content = self._tar.extractfile(entry)
        assert content is not None, "no folder"
        return cast(BinaryIO, content)


@contextmanager
def opened_file(path: Path) -> Iterator[BackupFile]:
    """Open a new file for a backup, which gets its name when the block succeeds. Raises UserError for a taken name."""
    if path.exists():
        raise UserError(f"{path} is there already; name a new file, or a folder, which keeps several backups")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {message_of(error)}") from error
    remove_abandoned(path.parent)
    with staging_folder(path.parent) as scratch, staging_file(path) as staged:
        scratch.chmod(FOLDER_MODE)
        staged.touch(mode=FILE_MODE)
        with tarfile.open(staged, "w") as tar:
            yield BackupFile(tar, scratch)


def _entry(name: str, size: int, modified: float) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, modified, FILE_MODE
    return entry
