"""Archives: the members of .zip, .tar and .tar.gz, found without unpacking anything.

A member is known by where its bytes lie, so that any worker can read any member without looking at the others: in a
.zip the compressed bytes, in a .tar the bytes themselves, in a .tar.gz the bytes of the uncompressed stream. For
the last an index of points from which decompression can start is built while the archive is listed (zran, of
zlib's examples; here through indexed_gzip) and kept in a folder, with the list of members.
"""

from __future__ import annotations

import hashlib
import lzma
import posixpath
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import indexed_gzip
import polars as pl

from flows.ingestion.sources.storage import one_line
from infra.files import staging_file

ARCHIVE = re.compile(r"(?i)\.(zip|tar|tar\.gz|tgz)$")
HEAD = 12
"""Bytes that tell whether a file is MIDI."""
SPACING = 2**20
"""Uncompressed bytes between two points of a .tar.gz index; each point takes 32 KiB."""
MAX_POINTS = 2048
"""Larger archives have points further apart, so that a worker's index stays below 64 MiB or so."""
LARGEST = 2**62
"""Sizes and offsets that a damaged archive gives beyond this are taken as this: neither can be read."""
BLOCK = 512
"""Bytes of a tar header; members are padded to a multiple of it."""

FAULTS = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    indexed_gzip.ZranError,
)
"""What reading an archive of any bytes may raise."""


@dataclass
class Members:
    """The files in an archive, as columns."""

    names: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Bytes, as the archive declares."""
    offsets: list[int] = field(default_factory=list)
    """Of a .zip member's local header, or of a .tar member's bytes in the uncompressed stream."""
    stored: list[int] | None = None
    """Compressed bytes; .zip only."""
    crcs: list[int] | None = None
    """CRC-32 of the uncompressed bytes; .zip only."""
    midi: list[bool | None] | None = None
    """Whether a member begins like MIDI, where that was seen in passing; .tar only."""
    not_files: int = 0
    """Members that have no bytes of their own: links to what is not in the archive, devices, sparse files."""
    problem: str | None = None
    """Why the archive, or the rest of it, cannot be read."""
    index: str | None = None
    """Index file of a .tar.gz."""


def begins_like_midi(head: bytes) -> bool:
    """Whether a file's first bytes are those of Standard MIDI or of MIDI in RIFF."""
    return head.startswith(b"MThd") or (head.startswith(b"RIFF") and head[8:12] == b"RMID")


def zip_members(file: IO[bytes]) -> Members:
    """The members of a .zip, in the order of its directory."""
    members = Members(stored=[], crcs=[])
    assert members.stored is not None and members.crcs is not None
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                members.names.append(_without_dot(_raw_name(info)))
                members.sizes.append(min(info.file_size, LARGEST))
                members.offsets.append(min(info.header_offset, LARGEST))
                members.stored.append(min(info.compress_size, LARGEST))
                members.crcs.append(info.CRC)
    except FAULTS as error:
        members.problem = f"it cannot be read as .zip: {one_line(error)}"
    return members


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """UTF-8 where the archive says so or where it is; else code page 437, as the format has it."""
    if not info.flag_bits & 0x800:
        raw = info.filename.encode("cp437", errors="replace")
        try:
            raw.decode()
        except UnicodeDecodeError:
            pass
        else:
            return raw
    return info.filename.encode(errors="surrogateescape")


def _without_dot(name: bytes) -> bytes:
    while name.startswith(b"./"):
        name = name[2:]
    return name


def tar_members(file: IO[bytes]) -> Members:
    """The members of an uncompressed .tar; of a damaged one those before the fault."""
    members = Members(midi=[])
    assert members.midi is not None
    known: dict[str, tuple[int, int]] = {}
    links: list[tuple[bytes, str]] = []
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            behind = -1
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
                if info.size < 0 or archive.offset <= behind:  # a header that leads back is searched for ever
                    raise tarfile.ReadError("a member of negative size")
                behind = archive.offset
                name = _without_dot(info.name.encode(errors="surrogateescape"))
                folder = posixpath.dirname(info.name)
                if info.isreg() and not info.issparse():
                    _add(members, name, info.offset_data, info.size)
                    known[posixpath.normpath(info.name)] = (info.offset_data, info.size)
                    if b"." not in name.rpartition(b"/")[2]:  # its first bytes are near now
                        file.seek(info.offset_data)
                        members.midi[-1] = begins_like_midi(file.read(HEAD))
                elif info.islnk():
                    links.append((name, posixpath.normpath(info.linkname)))
                elif info.issym():
                    links.append((name, posixpath.normpath(posixpath.join(folder, info.linkname))))
                elif not info.isdir():
                    members.not_files += 1
            members.problem = _end_of_tar(file, archive.offset)
    except FAULTS as error:
        after = f" after {members.names[-1].decode(errors='backslashreplace')!r}" if members.names else ""
        members.problem = f"it cannot be read as .tar{after}: {why(error)}"
    for name, target in links:
        if target in known:
            _add(members, name, *known[target])
        else:
            members.not_files += 1
    return members


def _add(members: Members, name: bytes, offset: int, size: int) -> None:
    assert members.midi is not None
    members.names.append(name)
    members.offsets.append(min(offset, LARGEST))
    members.sizes.append(min(size, LARGEST))
    members.midi.append(None)


def _end_of_tar(file: IO[bytes], offset: int) -> str | None:
    """tarfile takes a damaged header for the end of the archive: look whether it is the end."""
    file.seek(offset)
    block = file.read(BLOCK)
    if not block:
        return "it ends without an end mark: members may be missing"
    if block.strip(b"\0"):
        return f"it is damaged at byte {offset:,}: what follows cannot be found"
    return None


def targz_members(open_archive: Callable[[], IO[bytes]], identity: str, size: int, index_folder: Path) -> Members:
    """The members of a .tar.gz of `size` compressed bytes; of a damaged one those before the fault.

    The last of these may hold wrong bytes: gzip has one checksum, at the end. Writes an index and the list of
    members into `index_folder`, under a name made of `identity`, and takes both from there when they are there
    already. A damaged archive is searched again each time.
    """
    base = index_folder / hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:32]
    index, table = base.with_suffix(".gzidx"), base.with_suffix(".members.parquet")
    if index.exists() and table.exists():
        columns: dict[str, Any] = {name: column.to_list() for name, column in pl.read_parquet(table).to_dict().items()}
        not_files = int(pl.read_parquet_metadata(table)[_NOT_FILES])
        return Members(**columns, not_files=not_files, index=str(index))
    members = _search_stream(open_archive, size, index)
    if members.problem is not None:
        # A wrong checksum at the end also takes the bytes before it: they may be good.
        unchecked = _search_stream(open_archive, size, index, skip_crc_check=True)
        unchecked.problem = unchecked.problem or "its checksum (CRC-32) is wrong: members may be damaged"
        members = unchecked
    members.index = str(index)
    if members.problem is None:
        frame = pl.DataFrame({name: getattr(members, name) for name in _TABLE}, schema=_TABLE)
        with staging_file(table) as staged:
            frame.write_parquet(staged, metadata={_NOT_FILES: str(members.not_files)})
    return members


def _search_stream(
    open_archive: Callable[[], IO[bytes]], size: int, index: Path, skip_crc_check: bool = False
) -> Members:
    """Read the stream to its end, and write the index that this gives."""
    members = Members()
    try:
        with open_archive() as raw:
            spacing = max(SPACING, 4 * size // MAX_POINTS)
            stream = indexed_gzip.IndexedGzipFile(
                fileobj=raw, spacing=spacing, buffer_size=SPACING, skip_crc_check=skip_crc_check
            )
            members = tar_members(stream)
            while members.problem is None and stream.read(SPACING):  # to the checksum at the stream's end
                pass
            with staging_file(index) as staged:
                stream.export_index(filename=str(staged))
    except FAULTS as error:
        members.problem = members.problem or f"it is damaged: {why(error)}"
    return members


def why(error: Exception) -> str:
    """A fault in one line. indexed_gzip tells of damaged data by an impossible length."""
    damaged = isinstance(error, indexed_gzip.ZranError) or "readinto()" in str(error)
    return "the bytes are not gzip, or damaged" if damaged else one_line(error)


_TABLE: dict[str, pl.DataType] = {
    "names": pl.Binary(),
    "sizes": pl.Int64(),
    "offsets": pl.Int64(),
    "midi": pl.Boolean(),
}
_NOT_FILES = "not_files"
