"""The files of a lake, opened for a backup while others write, rename and remove."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flows.backup.left_out import is_left_out, place_in_order
from infra.errors import RunError

TOGETHER = 200
"""Files of a folder that are open at once, which is more than a checkpoint has."""
ATTEMPTS = 20
SETTLED_NS = 2 * 10**9
"""Age of the last change from which on a later one has another time, on file systems with coarse times too."""


@dataclass(frozen=True)
class OpenFile:
    """A file of the lake, open for reading."""

    path: str
    """In the lake, with forward slashes."""
    file: BinaryIO
    status: os.stat_result

    @property
    def stamp(self) -> str:
        """What changes whenever the file is written to; empty while that may not show."""
        newest = max(self.status.st_mtime_ns, self.status.st_ctime_ns)
        if time.time_ns() - newest < SETTLED_NS:
            return ""
        return ".".join(
            str(each)
            for each in (self.status.st_ino, self.status.st_size, self.status.st_mtime_ns, self.status.st_ctime_ns)
        )

    def read(self, size: int) -> bytes:
        """Read a block. Raises RunError."""
        try:
            return self.file.read(size)
        except OSError as error:
            raise RunError(f"{self.file.name} cannot be read: {error.strerror}") from error


def open_files(root: Path, left_out: Collection[str]) -> Iterator[OpenFile]:
    """Yield the files of a lake that are not left out, each open until the next; a folder's own after its folders'.

    So the events of a run are read after its checkpoints, and go as far at least. Of checkpoints the newest comes
    first, since training removes the oldest. Raises RunError for what cannot be read.
    """
    yield from _files_below(root, "", left_out, frozenset())


def _files_below(
    root: Path, path: str, left_out: Collection[str], above: frozenset[tuple[int, int]]
) -> Iterator[OpenFile]:
    done: set[str] = set()
    for _ in range(ATTEMPTS):
        identity, names = _folders_in(root / path)
        if identity in above:  # a link to a folder that it lies in
            return
        is_lost = False
        for name in sorted(names - done, key=place_in_order) if not path else sorted(names - done, reverse=True):
            done.add(name)
            below = f"{path}/{name}" if path else name
            if is_left_out(below, left_out):
                continue
            is_empty = True
            for opened in _files_below(root, below, left_out, above | {identity}):
                is_empty = False
                yield opened
            is_lost = is_lost or (is_empty and not (root / below).exists())
        if not is_lost:
            break
        # A folder has gone before it was read: another may have come in its place, as one checkpoint does for another.
    yield from _files_in(root, path, left_out)


def _folders_in(folder: Path) -> tuple[tuple[int, int], set[str]]:
    """Return the identity of a folder and the names of its folders, none of one that was removed. Raises RunError."""
    try:
        status = folder.stat()
        return (status.st_dev, status.st_ino), {each.name for each in os.scandir(folder) if each.is_dir()}
    except FileNotFoundError:
        return (0, 0), set()
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror}") from error


def _files_in(root: Path, path: str, left_out: Collection[str]) -> Iterator[OpenFile]:
    """Yield the files of one folder. They are opened before any of them is read: what is removed by then stays
    readable, so that a checkpoint is in the backup whole or not at all."""
    for attempt in range(ATTEMPTS):
        names = _file_names(root / path, path, left_out)
        is_small = len(names) <= TOGETHER
        for first in range(0, len(names), TOGETHER):
            with ExitStack() as opened:
                found = []
                for name in names[first : first + TOGETHER]:
                    file = _opened(root / path / name)
                    if file is not None:
                        opened.enter_context(file)
                        below = _printable(f"{path}/{name}" if path else name)
                        found.append(OpenFile(below, file, os.fstat(file.fileno())))
                    elif is_small:
                        break
                else:
                    yield from found
                    continue
            break
        else:
            return
        time.sleep(0.01 * attempt)
    raise RunError(f"{root / path} changes faster than it can be read; run the backup again")


def _file_names(folder: Path, path: str, left_out: Collection[str]) -> list[str]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except FileNotFoundError:
        return []
    return [name for name in names if not is_left_out(f"{path}/{name}" if path else name, left_out)]


def _printable(path: str) -> str:
    """Return the path of a file, which the list of contents has to hold. Raises RunError."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise RunError(f"the name of {path!r} is no UTF-8: rename the file") from error
    return path


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
