"""The index of one shard's pieces, as a file that is mapped into memory.

Little-endian; after a head of HEAD bytes the columns of COLUMNS follow one another, each padded to whole words of eight
bytes. Grams are sorted by hash: the first `bits` bits of a hash choose a bucket, the next 16 stand in the column `low`.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from infra.errors import RunError

VERSION: Final = 1
"""Of the format and of what is indexed; files of another version are not read."""
MAGIC = b"MuOr"
HEAD = 64
_HEAD = struct.Struct("<4sIQQQQII")
IN_BUCKET = 8
"""Grams in a bucket on average, at most."""
LOW_BITS = 16
HASH_BITS = 32


class IndexFileError(RunError):
    """An index that is damaged or of another version."""


class Column(NamedTuple):
    """A column of the file: `extra` more values than there are `rows`."""

    name: str
    rows: str
    dtype: str
    extra: int = 0


COLUMNS = (
    Column("piece", "pieces", "V32"),  # SHA-256 of the file
    Column("family", "pieces", "V32"),  # SHA-256 that names the family
    Column("piece_line", "pieces", "<u4", 1),  # first line of each piece
    Column("line_note", "lines", "<u4", 1),  # first note of each line
    Column("line_start", "lines", "<f4"),  # onset of that note, seconds
    Column("bucket", "buckets", "<u4", 1),  # first gram of each bucket
    Column("place", "grams", "<u4"),  # first note of each gram
    Column("low", "grams", "<u2"),  # the 16 bits of its hash behind those of the bucket
    Column("word", "notes", "<u2"),  # see `words`
)


@dataclass(frozen=True, eq=False)
class IndexFile:
    """The columns of one file."""

    path: Path
    bits: int
    piece: NDArray[Any]
    family: NDArray[Any]
    piece_line: NDArray[np.uint32]
    line_note: NDArray[np.uint32]
    line_start: NDArray[np.float32]
    bucket: NDArray[np.uint32]
    place: NDArray[np.uint32]
    low: NDArray[np.uint16]
    word: NDArray[np.uint16]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a file. Raises IndexFileError for one that is damaged or of another version."""
        data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
        if len(data) < HEAD or bytes(data[:4]) != MAGIC:
            raise IndexFileError(f"{path} is no originality index; ingest the collections again")
        _, version, pieces, lines, notes, count, bits, checksum = _HEAD.unpack(bytes(data[: _HEAD.size]))
        if version != VERSION:
            raise IndexFileError(f"{path} has format {version}, this release reads {VERSION}; ingest again")
        counts = {"pieces": pieces, "lines": lines, "notes": notes, "grams": count, "buckets": 2**bits}
        columns, at = {}, HEAD
        for column in COLUMNS:
            size = (counts[column.rows] + column.extra) * np.dtype(column.dtype).itemsize
            columns[column.name] = data[at : at + size]
            at += -(-size // 8) * 8
        if at != len(data) or zlib.crc32(data[HEAD:].data) != checksum:
            raise IndexFileError(f"{path} is damaged; delete the version and ingest the collections again")
        return cls(path, bits, **{column.name: columns[column.name].view(column.dtype) for column in COLUMNS})

    def pieces_of(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of the pieces that lines belong to."""
        return np.searchsorted(self.piece_line, lines, side="right").astype(np.int64) - 1

    def piece_id(self, number: int) -> str:
        """Return the SHA-256 of a piece, in hexadecimal digits."""
        return bytes(self.piece[number]).hex()

    def family_id(self, number: int) -> str:
        """Return the SHA-256 that names the family of a piece, in hexadecimal digits."""
        return bytes(self.family[number]).hex()


def pack_head(pieces: int, lines: int, notes: int, grams: int, bits: int, checksum: int) -> bytes:
    """Return the head of a file with so many rows. `checksum`: the CRC-32 of what follows the head."""
    return _HEAD.pack(MAGIC, VERSION, pieces, lines, notes, grams, bits, checksum)
