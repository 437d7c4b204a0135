"""Restoring a backup to a new folder, or checking that it could be: every byte is read and compared."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from flows.backup.folder import FolderSource
from flows.backup.forms import Source, read_checked
from flows.backup.single_file import FileSource
from infra.errors import RunError, UserError
from infra.files import link, publish_folder, remove_abandoned, staging_folder
from infra.lake import Lake
from infra.services.database import database
from infra.services.liveness import mark_left
from infra.services.schema import unfinished_runs

Progress = Callable[[int, int], None]
"""Is told how many of how many files are done."""
IMMUTABLE = "datasets/"
"""Below it, files with the same content and time are one file with several names, as ingestion makes them."""


class RestoreReport(BaseModel):
    """What was restored, or checked."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Of the backup."""
    created: str
    lake: str
    """Address of the lake that it was taken of."""
    release: str
    """Of the musenet that took it."""
    files: int
    bytes: int
    findings: tuple[str, ...]
    """What was wrong with the lake when the backup was taken."""
    unfinished: int
    """Flow runs that were running then; the next command on the lake reports them as dead."""


@contextmanager
def opened_backup(path: Path, name: str | None) -> Iterator[Source]:
    """Open a backup; `name` is that of one in a folder, None for the newest. Raises UserError and DamagedBackup."""
    if path.is_dir():
        yield FolderSource(path, name)
    elif not path.exists():
        raise UserError(f"there is no backup at {path}")
    elif name is not None:
        raise UserError(f"{path} holds one backup; --backup is for a folder")
    else:
        with FileSource.opened(path) as source:
            yield source


def check_backup(path: Path, name: str | None, progress: Progress) -> RestoreReport:
    """Read and compare all of a backup. Raises DamagedBackup naming the first file that is not what was written."""
    with opened_backup(path, name) as source:
        for number, (stored, file) in enumerate(source.contents.files.items()):
            read_checked(source, stored, file, lambda _block: None)
            progress(number + 1, len(source.contents.files))
        return _report(source, 0)


def restore_backup(path: Path, lake: Lake, name: str | None, progress: Progress) -> RestoreReport:
    """Restore a backup as the folder of a lake that is not there yet; all of it is there then, or nothing.

    Databases name files by their absolute paths; those of MLflow's are changed to the new place. Raises UserError for
    a folder with files in it, DamagedBackup, and RunError for a disk that is full.
    """
    final = lake.root
    if final.exists() and any(final.iterdir()):
        raise UserError(f"{final} has files in it; name a new folder with --lake")
    with opened_backup(path, name) as source:
        _require_room(final, source)
        try:
            remove_abandoned(final.parent)
            with staging_folder(final.parent) as staged:
                _fill(staged, source, progress)
                unfinished = _mark_unfinished(Lake(staged))
                if final.exists():
                    final.rmdir()
                publish_folder(staged, final)
        except OSError as error:
            raise RunError(f"{final} cannot be written: {error.strerror or error}; nothing was restored") from error
        _move_registry(lake)
        return _report(source, unfinished)


def _fill(staged: Path, source: Source, progress: Progress) -> None:
    files = source.contents.files
    linked: dict[tuple[str, int], Path] = {}
    for number, (path, file) in enumerate(files.items()):
        target = staged / path
        target.parent.mkdir(parents=True, exist_ok=True)
        identity = (file.sha256, file.modified)
        if path.startswith(IMMUTABLE) and identity in linked:
            link(str(linked[identity]), str(target))
        else:
            with target.open("xb") as written:
                read_checked(source, path, file, written.write)
            if path.startswith(IMMUTABLE):
                linked[identity] = target
        os.utime(target, ns=(file.modified, file.modified))  # the order of runs, and the age of what gc removes
        progress(number + 1, len(files))


def _mark_unfinished(staged: Lake) -> int:
    """Leave what makes the next command report flow runs as dead that a copy of Prefect's database has as running."""
    try:
        found = unfinished_runs(database(staged))
    except sqlite3.Error:  # none, or one without runs
        return 0
    mark_left(staged, found)
    return len(found)


def _move_registry(lake: Lake) -> None:
    from registry.relocation import relocate

    relocate(lake)


def _require_room(final: Path, source: Source) -> None:
    folder = next(path for path in final.parents if path.is_dir())
    files = source.contents.files
    linked = {(file.sha256, file.modified): file.size for path, file in files.items() if path.startswith(IMMUTABLE)}
    others = sum(file.size for path, file in files.items() if not path.startswith(IMMUTABLE))
    needed, free = sum(linked.values()) + others, shutil.disk_usage(folder).free
    if needed > free:
        raise RunError(
            f"{needed / 1e9:,.1f} GB are to be restored, {free / 1e9:,.1f} GB are free in {folder}: make room"
        )


def _report(source: Source, unfinished: int) -> RestoreReport:
    contents = source.contents
    return RestoreReport(
        name=source.name,
        created=contents.created.isoformat(timespec="seconds"),
        lake=contents.lake,
        release=contents.release,
        files=len(contents.files),
        bytes=contents.size,
        findings=contents.findings,
        unfinished=unfinished,
    )
