"""Files of other kinds under the names of MIDI files: what their first bytes say they are."""

from __future__ import annotations

import zlib

BLOCK = 512
"""Bytes of a tar header."""
TAR_MAGIC_AT = 257
"""Where `ustar` stands in it (POSIX.1-1988, pax)."""
_GZIP = b"\x1f\x8b"
_KINDS = {
    b"PK\x03\x04": "a zip archive; name it .zip and its MIDI files are read",
    b"PK\x05\x06": "an empty zip archive",
    b"BZh": "compressed by bzip2; decompress it",
    b"\xfd7zXZ\x00": "compressed by xz; decompress it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"Rar!\x1a\x07": "a rar archive; unpack it",
}
"""Kinds by their first bytes, and what to do with the file."""


def container_of(data: bytes) -> str | None:
    """Return what kind of archive or compressed file these bytes are, with what to do; None for anything else."""
    for magic, kind in _KINDS.items():
        if data.startswith(magic):
            return kind
    if data.startswith(_GZIP):
        return _gzip_content(data)
    return "a tar archive; name it .tar and its MIDI files are read" if _is_tar(data) else None


def _gzip_content(data: bytes) -> str:
    """Describe a gzip file by the first bytes of its content."""
    try:
        head = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(data, BLOCK)
    except zlib.error:
        return "compressed by gzip, and damaged"
    if _is_tar(head):
        return "a tar archive compressed by gzip; name it .tar.gz and its MIDI files are read"
    return f"{'a MIDI file ' if head.startswith(b'MThd') else ''}compressed by gzip; decompress it"


def _is_tar(data: bytes) -> bool:
    return data[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar"
