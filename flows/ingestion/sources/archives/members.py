"""Members of an archive as columns, and what reading archives of any bytes may raise."""

from __future__ import annotations

import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field

import indexed_gzip

from flows.ingestion.sources.storage import one_line

ARCHIVE = re.compile(r"(?i)\.(zip|tar|tar\.gz|tgz)$")
HEAD = 12
"""Bytes by which a file is recognised as MIDI."""
LARGEST = 2**62
"""Upper bound for sizes and offsets; those of a damaged archive may exceed it and cannot be read either way."""

ARCHIVE_ERRORS = (
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
"""Exceptions that reading an archive of any bytes may raise."""


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
    """True for members that begin like MIDI, None where that was not checked; .tar only."""
    not_files: int = 0
    """Members without bytes of their own: links out of the archive, devices, sparse files."""
    problem: str | None = None
    """Reason for which the archive, or the rest of it, cannot be read."""
    index: str | None = None
    """Index file of a .tar.gz."""


def begins_like_midi(head: bytes) -> bool:
    """True if a file's first bytes are those of Standard MIDI or of MIDI in RIFF."""
    return head.startswith(b"MThd") or (head.startswith(b"RIFF") and head[8:12] == b"RMID")


def archive_fault(error: Exception) -> str:
    """Describe one of ARCHIVE_ERRORS in one line."""
    # indexed_gzip reports damaged data as an impossible length
    damaged = isinstance(error, indexed_gzip.ZranError) or "readinto()" in str(error)
    return "the bytes are not gzip, or damaged" if damaged else one_line(error)


def without_dot(name: bytes) -> bytes:
    """Return a member's name without leading `./`."""
    while name.startswith(b"./"):
        name = name[2:]
    return name
