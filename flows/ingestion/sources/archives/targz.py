"""Compressed tar archives, with an index of points from which decompression can start.

The index is built while the archive is listed (zran, of zlib's examples; here through indexed_gzip) and kept in a
folder, with the table of members.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

import indexed_gzip
import polars as pl

from flows.ingestion.sources.archives.members import ARCHIVE_ERRORS, Members, archive_fault
from flows.ingestion.sources.archives.tar import tar_members
from flows.ingestion.sources.storage import open_binary
from infra.files import staging_file

SPACING = 2**20
"""Uncompressed bytes between two points of an index; each point takes 32 KiB."""
MAX_POINTS = 2048
"""Larger archives have points further apart, so that a worker's index stays below about 64 MiB."""

_TABLE: dict[str, pl.DataType] = {
    "names": pl.Binary(),
    "sizes": pl.Int64(),
    "offsets": pl.Int64(),
    "midi": pl.Boolean(),
}
_NOT_FILES = "not_files"


def targz_members(open_archive: Callable[[], IO[bytes]], identity: str, size: int, index_folder: Path) -> Members:
    """Return the members of a .tar.gz of `size` compressed bytes; of a damaged one those before the fault.

    The last of these may hold wrong bytes: gzip has one checksum, at the end. The index and the table of members are
    written to `index_folder` under a name derived from `identity`, and read from there if they exist. A damaged
    archive is searched again each time.
    """
    base = index_folder / hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:32]
    index, table = base.with_suffix(".gzidx"), base.with_suffix(".members.parquet")
    if index.exists() and table.exists():
        columns: dict[str, Any] = {name: column.to_list() for name, column in pl.read_parquet(table).to_dict().items()}
        not_files = int(pl.read_parquet_metadata(table)[_NOT_FILES])
        return Members(**columns, not_files=not_files, index=str(index))
    members = _search_stream(open_archive, size, index)
    if members.problem is not None:
        # A wrong checksum at the end makes the bytes before it unreadable, too, though they may be good.
        unchecked = _search_stream(open_archive, size, index, skip_crc_check=True)
        unchecked.problem = unchecked.problem or "its checksum (CRC-32) is wrong: members may be damaged"
        members = unchecked
    members.index = str(index)
    if members.problem is None:
        frame = pl.DataFrame({name: getattr(members, name) for name in _TABLE}, schema=_TABLE)
        with staging_file(table) as staged:
            frame.write_parquet(staged, metadata={_NOT_FILES: str(members.not_files)})
    return members


def open_targz(container: str, stack: ExitStack, index: str | None) -> IO[bytes]:
    """Open the uncompressed stream of a .tar.gz (path or URL) for seeking; `stack` closes it.

    Without a readable `index`, as on another machine, it is decompressed from its beginning.
    """
    raw = stack.enter_context(open_binary(container))
    # The checksum was verified when the archive was listed; a wrong one would make good members unreadable.
    stream = indexed_gzip.IndexedGzipFile(fileobj=raw, spacing=SPACING, buffer_size=SPACING, skip_crc_check=True)
    if index is not None:
        with contextlib.suppress(OSError, indexed_gzip.ZranError):
            stream.import_index(filename=index)
    return cast(IO[bytes], stack.enter_context(stream))


def _search_stream(
    open_archive: Callable[[], IO[bytes]], size: int, index: Path, skip_crc_check: bool = False
) -> Members:
    """Return the members, reading the stream to its end, and write the index that this yields."""
    members = Members()
    try:
        with open_archive() as raw:
            spacing = max(SPACING, 4 * size // MAX_POINTS)
            stream = indexed_gzip.IndexedGzipFile(
                fileobj=raw, spacing=spacing, buffer_size=SPACING, skip_crc_check=skip_crc_check
            )
            members = tar_members(stream)
            while members.problem is None and stream.read(SPACING):  # up to the checksum at the stream's end
                pass
            with staging_file(index) as staged:
                stream.export_index(filename=str(staged))
    except ARCHIVE_ERRORS as error:
        members.problem = members.problem or f"it is damaged: {archive_fault(error)}"
    return members
