"""Walk of a local folder, without an object per file."""

from __future__ import annotations

import heapq
import os
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import polars as pl

from flows.ingestion.sources.printable_names import printable_name
from flows.ingestion.sources.storage import local_path

BATCH = 1 << 15
"""Names that are yielded together, and whose status objects are held until then."""
KIND = 0o170000
"""The bits of a mode that tell files, folders and others apart."""
RECENT_NS = 2_000_000_000
"""A file that was changed so shortly before the walk may change again within the resolution of its times."""


def version_of(status: os.stat_result, now_ns: int) -> str | None:
    """Return a key that changes whenever the file is written to; None while that cannot be told yet."""
    if max(status.st_mtime_ns, status.st_ctime_ns) > now_ns - RECENT_NS:
        return None
    return f"{status.st_ino}.{status.st_mtime_ns}.{status.st_ctime_ns}"


def _versions_of(statuses: list[os.stat_result], now_ns: int) -> pl.Series:
    """Return `version_of` of many files."""
    columns = {
        "inode": pl.Series([status.st_ino for status in statuses], dtype=pl.UInt64),
        "mtime": pl.Series([status.st_mtime_ns for status in statuses], dtype=pl.Int64),
        "ctime": pl.Series([status.st_ctime_ns for status in statuses], dtype=pl.Int64),
    }
    is_settled = pl.max_horizontal("mtime", "ctime") <= now_ns - RECENT_NS
    version = pl.when(is_settled).then(pl.format("{}.{}.{}", *columns))
    return pl.DataFrame(columns).select(version.alias("version")).to_series()


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

    def batches(self) -> Iterator[tuple[list[bytes], list[int], pl.Series]]:
        """Yield batches of (names relative to the root, sizes in bytes, versions as of `version_of`).

        A broken link is listed as a file that cannot be read, of size 0 and without a version.
        """
        base = os.fsencode(self._root.rstrip("/")) + b"/"
        folders, links = [b""], list[bytes]()
        names: list[bytes] = []
        broken: list[bytes] = []
        statuses: list[os.stat_result] = []
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
                    except OSError:
                        broken.append(name)
                        continue
                    kind = status.st_mode & KIND
                    if kind == stat.S_IFREG:
                        names.append(name)
                        statuses.append(status)
                    elif kind == stat.S_IFDIR:
                        heapq.heappush(links, name)
                    else:
                        self.not_files += 1
            if len(names) >= BATCH:
                yield self._batch(names, statuses, now, [])
                names, statuses = [], []
        yield self._batch(names, statuses, now, broken)

    @staticmethod
    def _batch(
        names: list[bytes], statuses: list[os.stat_result], now_ns: int, broken: list[bytes]
    ) -> tuple[list[bytes], list[int], pl.Series]:
        versions = _versions_of(statuses, now_ns).extend_constant(None, len(broken))
        return [*names, *broken], [*(status.st_size for status in statuses), *[0] * len(broken)], versions

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
