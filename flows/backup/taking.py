"""Taking a backup: databases, then files, then the list of both, which makes it one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from flows.backup.contents import Contents, StoredFile
from flows.backup.findings import find_faults
from flows.backup.folder import BackupFolder, opened_folder
from flows.backup.forms import Target
from flows.backup.lake_files import OpenFile, open_files
from flows.backup.left_out import DATABASES, OnRequest, patterns
from flows.backup.parameters import BackupParameters
from flows.backup.single_file import SUFFIX, BackupFile, opened_file
from flows.progress import stage
from flows.retention.guard import in_use
from infra.databases import copy_database
from infra.errors import RunError, UserError
from infra.lake import Lake
from infra.services.registry_address import ARTIFACTS_VARIABLE, own_registry, printable, registry_address

Progress = Callable[[int, int], None]
"""Is told how many files, and how many bytes, are done."""


class BackupReport(BaseModel):
    """What a backup holds, and what it cost."""

    model_config = ConfigDict(frozen=True)

    name: str
    """By its time, in UTC, and the digest of its list."""
    to: Path
    files: int
    bytes: int
    """Of all files."""
    copied_files: int
    copied_bytes: int
    """Of those that were read; what had not changed since the last backup was not."""
    removed: int
    """Earlier backups that are no longer kept."""
    left_out: dict[str, str]
    """Patterns of what is not in it, with the reasons."""
    elsewhere: tuple[str, ...]
    """What belongs to the lake and lies in other stores, which have backups of their own."""
    findings: tuple[str, ...]
    """What is wrong with the lake: it is in the backup as it is."""


def back_up(parameters: BackupParameters) -> BackupReport:
    """Back up a lake as the parameters of flow and command say, and show how far it is. Raises as `take_backup`."""
    with stage("backing up") as bar:
        return take_backup(
            Lake.at(parameters.lake),
            parameters.target(),
            parameters.included,
            parameters.keep,
            lambda files, size: bar.update(files, note=f"{size / 1e6:,.0f} MB"),
        )


def take_backup(
    lake: Lake,
    to: Path,
    included: Collection[OnRequest] = (),
    keep: int | None = None,
    progress: Progress = lambda *_: None,
) -> BackupReport:
    """Back up a lake's folder into a file (`.tar`) or a folder, while flows may run.

    included: folders that are left out unless they are asked for. keep: backups that stay in
    the folder, None for all. Raises UserError and RunError; then there is no backup.
    """
    _check(lake, to, keep)
    begun = datetime.now(UTC)
    left_out = patterns(included)
    removed = 0
    # The guard keeps everything where it is, so that nothing that was named when the databases were read is gone later.
    with in_use(lake), _writable(to), _opened(to) as target:
        copy = _Copy(lake, target, progress)
        registry = copy.databases()
        copy.files(left_out)
        findings = [*find_faults(lake.root, copy.stored, registry)]
        contents = Contents(
            created=begun,
            release=version("musenet"),
            lake=lake.address,
            local=str(lake.root),
            left_out=tuple(left_out),
            findings=tuple(findings),
            files=dict(sorted(copy.stored.items())),
        )
        name = target.finish(contents)
        if keep is not None and isinstance(target, BackupFolder):
            removed = target.keep(keep)
    return BackupReport(
        name=name,
        to=to,
        files=len(contents.files),
        bytes=contents.size,
        copied_files=copy.copied_files,
        copied_bytes=copy.copied_bytes,
        removed=removed,
        left_out=left_out,
        elsewhere=tuple(_elsewhere(lake)),
        findings=tuple(findings),
    )


class _Copy:
    """A backup in the making."""

    def __init__(self, lake: Lake, target: Target, progress: Progress) -> None:
        self.stored: dict[str, StoredFile] = {}
        self.copied_files = self.copied_bytes = 0
        self._lake, self._target, self._progress = lake, target, progress
        self._known = target.known(str(lake.root))
        self._bytes = 0

    def databases(self) -> Path | None:
        """Copy the databases; return the copy of MLflow's, if there is one."""
        registry = None
        for pattern in DATABASES:
            for database in sorted(self._lake.root.glob(pattern)):
                path = database.relative_to(self._lake.root).as_posix()
                copied = self._target.scratch / path.replace("/", "-")
                copy_database(database, copied)
                with copied.open("rb") as file:
                    self._add(OpenFile(path, file, copied.stat()))
                if database == self._lake.registry_database:
                    registry = copied
                else:
                    copied.unlink()
        return registry

    def files(self, left_out: Collection[str]) -> None:
        """Copy all other files but those that have not changed since the last backup."""
        for opened in open_files(self._lake.root, left_out):
            before = self._known.get(opened.path)
            if before is not None and before.stamp and before.stamp == opened.stamp and self._target.has(before):
                self._note(opened.path, before)
            else:
                self._add(opened)

    def _add(self, opened: OpenFile) -> None:
        stored = self._target.add(opened)
        self.copied_files += 1
        self.copied_bytes += stored.size
        self._note(opened.path, stored)

    def _note(self, path: str, stored: StoredFile) -> None:
        self.stored[path] = stored
        self._bytes += stored.size
        self._progress(len(self.stored), self._bytes)


def _check(lake: Lake, to: Path, keep: int | None) -> None:
    if not lake.root.is_dir():
        raise UserError(f"{lake.root} is no lake; name one with --lake")
    if to.resolve().is_relative_to(lake.root):
        raise UserError(f"{to} is in the lake that is backed up; name a place outside, on another disk")
    if keep is not None and _is_file(to):
        raise UserError(f"{to} holds one backup; --keep is for a folder")
    if to.is_file() and to.suffix != SUFFIX:
        raise UserError(f"{to} is a file; name a folder, or a file that ends in {SUFFIX}")


def _is_file(to: Path) -> bool:
    return to.suffix == SUFFIX and not to.is_dir()


def _opened(to: Path) -> AbstractContextManager[BackupFile] | AbstractContextManager[BackupFolder]:
    return opened_file(to) if _is_file(to) else opened_folder(to)


@contextmanager
def _writable(to: Path) -> Iterator[None]:
    """Turn the errors of the disk that a backup is written to into RunErrors."""
    try:
        yield
    except OSError as error:
        raise RunError(f"the backup cannot be written to {to}: {error.strerror}; none was made") from error


def _elsewhere(lake: Lake) -> Iterator[str]:
    if lake.remote is not None:
        yield f"datasets and pieces are in {lake.remote}"
    if (uri := registry_address(lake)) != own_registry(lake):
        yield f"runs and models are in {printable(uri)}"
    if place := os.environ.get(ARTIFACTS_VARIABLE):
        yield f"files of runs and models are in {place}"
