"""Zip archives: their members, and the decoding of one member from the bytes at its place (APPNOTE.TXT)."""

from __future__ import annotations

import bz2
import struct
import zipfile
import zlib
from typing import IO

from flows.ingestion.sources.archives.members import ARCHIVE_ERRORS, LARGEST, Members, without_dot
from flows.ingestion.sources.storage import one_line

LOCAL_HEADER = struct.Struct("<4s2xHH16xHH")
"""Local file header: signature, flags, method, lengths of name and extra field (APPNOTE.TXT 4.3.7)."""


class ZipMemberError(Exception):
    """A member cannot be decoded; the message gives the reason."""


def zip_members(file: IO[bytes]) -> Members:
    """Return the members of a .zip, in the order of its directory."""
    members = Members(stored=[], crcs=[])
    assert members.stored is not None and members.crcs is not None
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                members.names.append(without_dot(_raw_name(info)))
                members.sizes.append(min(info.file_size, LARGEST))
                members.offsets.append(min(info.header_offset, LARGEST))
                members.stored.append(min(info.compress_size, LARGEST))
                members.crcs.append(info.CRC)
    except ARCHIVE_ERRORS as error:
        members.problem = f"it cannot be read as .zip: {one_line(error)}"
    return members


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """Return a name's bytes: UTF-8 if flagged as such or valid as such, else from code page 437, the default."""
    if not info.flag_bits & 0x800:
        raw = info.filename.encode("cp437", errors="replace")
        try:
            raw.decode()
        except UnicodeDecodeError:
            pass
        else:
            return raw
    return info.filename.encode(errors="surrogateescape")


def read_local_header(raw: bytes) -> tuple[int, int]:
    """Return the compression method and the start of a member's data in `raw`, which begins with its local header.

    Raises ZipMemberError for a header that is cut short or missing, and for an encrypted member.
    """
    if len(raw) < LOCAL_HEADER.size:
        raise ZipMemberError("the archive ends before it")
    signature, flags, method, name, extra = LOCAL_HEADER.unpack_from(raw)
    if signature != b"PK\x03\x04":
        raise ZipMemberError("the archive is damaged: there is no member where its directory says so")
    if flags & 1:
        raise ZipMemberError("it is encrypted")
    return method, LOCAL_HEADER.size + name + extra


def decompress(method: int, packed: bytes, most: int) -> bytes:
    """Return at most `most` uncompressed bytes of a member's data. Raises ZipMemberError."""
    try:
        match method:
            case zipfile.ZIP_STORED:
                return packed[:most]
            case zipfile.ZIP_DEFLATED:
                return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)
            case zipfile.ZIP_BZIP2:
                return bz2.BZ2Decompressor().decompress(packed, most)
            case _:
                raise ZipMemberError(f"compression method {method} of .zip is not supported")
    except (zlib.error, OSError, EOFError) as error:
        raise ZipMemberError(f"it cannot be decompressed: {one_line(error)}") from None
