"""Walk of a local folder, without an object per file."""

from __future__ import annotations

import heapq
import os
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from flows.ingestion.sources.printable_names import printable_name
from flows.ingestion.sources.storage import local_path

BATCH = 100_000
"""Names that are yielded together."""
RECENT_NS = 2_000_000_000
"""A file that was changed so shortly before the walk may change again within the resolution of its times."""


def version_of(status: os.stat_result, now_ns: int) -> str | None:
    """Return a key that changes whenever the file is written to; None while that cannot be told yet."""
    if max(status.st_mtime_ns, status.st_ctime_ns) > now_ns - RECENT_NS:
        return None
    return f"{status.st_ino:x}.{status.st_mtime_ns:x}.{status.st_ctime_ns:x}"


class FolderWalk:
    """The files below a folder: each real folder is visited once, those behind links after all others."""

    def __init__(self, root: str, lake: str | None) -> None:
        """Walk `root`; a `lake` below it (path or URL) is skipped."""
        self._root = root
        self._seen = {identity for identity in [_lake_identity(lake)] if identity is not None}
        self.problems: list[tuple[str, int, str]] = []
        """Path below the root, size (0), and the reason, of folders that cannot be read."""
        self.not_files = 0
        """Devices, sockets and the like."""

    def batches(self) -> Iterator[tuple[list[bytes], list[int], list[str | None]]]:
        """Yield batches of (names relative to the root, sizes in bytes, versions as of `version_of`)."""
        base = os.fsencode(self._root.rstrip("/")) + b"/"
        folders, links = [b""], list[bytes]()
        names: list[bytes] = []
        sizes: list[int] = []
        versions: list[str | None] = []
        now = time.time_ns()
        while folders or links:
            folder = folders.pop() if folders else heapq.heappop(links)
            opened = self._open(base, folder)
            if opened is None:
                continue
            prefix = folder + b"/" if folder else b""
            with opened as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                        continue
                    try:
                        status = entry.stat()
                    except OSError:  # a broken link is listed as a file that cannot be read
                        names.append(name)
                        sizes.append(0)
                        versions.append(None)
                        continue
                    if stat.S_ISREG(status.st_mode):
                        names.append(name)
                        sizes.append(status.st_size)
                        versions.append(version_of(status, now))
                    elif stat.S_ISDIR(status.st_mode):
                        heapq.heappush(links, name)
                    else:
                        self.not_files += 1
            if len(names) >= BATCH:
                yield names, sizes, versions
                names, sizes, versions = [], [], []
        yield names, sizes, versions

    def _open(self, base: bytes, folder: bytes) -> AbstractContextManager[Iterator[os.DirEntry[bytes]]] | None:
        """Open a folder, unless it was visited before or cannot be read."""
        try:
            identity = _identity(base + folder)
            entries = os.scandir(base + folder) if identity not in self._seen else None
        except OSError as error:
            path = printable_name(os.fsdecode(folder))
            self.problems.append((path, 0, f"the folder cannot be read: {error.strerror}"))
            return None
        self._seen.add(identity)
        return entries


def _lake_identity(lake: str | None) -> tuple[int, int] | None:
    local = local_path(lake) if lake else None
    try:
        return None if local is None else _identity(local)
    except OSError:
        return None


def _identity(folder: str | bytes) -> tuple[int, int]:
    """Return device and inode, which links to the folder share."""
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino
