"""The index of one shard's pieces, as a file that is mapped into memory.

Little-endian; after a head of HEAD bytes the columns of COLUMNS follow one another, each padded to whole words of eight
bytes. Grams are sorted by hash: the first `bits` bits of a hash choose a bucket, the next 16 stand in the column `low`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from infra.errors import RunError
from infra.object_store import Folder
from tokenization.midi.notes import Notes
from tokenization.originality.grams import grams, winnowed
from tokenization.originality.lines import lines_of
from tokenization.originality.words import to_words

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


def write_index(path: Folder, pieces: Iterable[tuple[str, str, Notes]]) -> None:
    """Write the index of pieces, each with its SHA-256, its family and its notes, sorted by onset.

    Not atomic on a disk: write into a staging folder.
    """
    path.write_bytes(index_bytes(pieces))


def index_bytes(pieces: Iterable[tuple[str, str, Notes]]) -> bytes:
    """Return the content of the index of some pieces (see `write_index`)."""
    ids, families, words, starts, found = [], [], [], [], []
    piece_line, line_note = [0], [0]
    for piece, family, notes in pieces:
        ids.append(bytes.fromhex(piece))
        families.append(bytes.fromhex(family))
        lines = lines_of(notes)
        for begin, end in zip(lines.first[:-1].tolist(), lines.first[1:].tolist()):
            hashes = grams(lines.pitch[begin:end])
            kept = winnowed(hashes)
            if not len(kept):
                continue
            found.append(hashes[kept] << np.uint64(HASH_BITS) | (kept + line_note[-1]).astype(np.uint64))
            words.append(to_words(lines.pitch[begin:end], lines.onset[begin:end]))
            starts.append(lines.onset[begin])
            line_note.append(line_note[-1] + end - begin)
        piece_line.append(len(starts))
    entries = np.sort(np.concatenate(found)) if found else np.empty(0, np.uint64)
    bits = int(np.clip(np.ceil(np.log2(max(len(entries), 1) / IN_BUCKET)), 0, HASH_BITS - LOW_BITS))
    hashes = entries >> np.uint64(HASH_BITS)
    firsts = np.arange(2**bits + 1, dtype=np.uint64) << np.uint64(HASH_BITS - bits)
    columns = {
        "piece": b"".join(ids),
        "family": b"".join(families),
        "piece_line": piece_line,
        "line_note": line_note,
        "line_start": starts,
        "bucket": np.searchsorted(hashes, firsts),
        "place": entries & np.uint64(2**HASH_BITS - 1),
        "low": hashes >> np.uint64(HASH_BITS - LOW_BITS - bits) & np.uint64(2**LOW_BITS - 1),
        "word": np.concatenate(words) if words else [],
    }
    content = bytearray()
    for column in COLUMNS:
        values = columns[column.name]
        content += values if isinstance(values, bytes) else np.asarray(values).astype(column.dtype).tobytes()
        content += bytes(-len(content) % 8)
    head = _HEAD.pack(MAGIC, VERSION, len(ids), len(starts), line_note[-1], len(entries), bits, zlib.crc32(content))
    return head.ljust(HEAD, b"\0") + bytes(content)
