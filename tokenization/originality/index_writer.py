"""The writing of an index: pieces one by one, and then the content of a shard's file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from infra.object_store import Folder
from tokenization.compiled import compiled, put
from tokenization.midi.notes import Notes
from tokenization.originality.grams import grams, winnowed
from tokenization.originality.index_file import COLUMNS, HASH_BITS, HEAD, IN_BUCKET, LOW_BITS, pack_head
from tokenization.originality.lines import lines_of
from tokenization.originality.words import to_words


class IndexWriter:
    """The index of the pieces added so far."""

    def __init__(self) -> None:
        self._ids: list[bytes] = []
        self._families: list[bytes] = []
        self._piece_line = [0]
        self._entries = [np.empty(0, np.uint64)]
        self._words = [np.empty(0, np.uint16)]
        self._starts = [np.empty(0, np.float32)]
        self._ends = [np.zeros(1, np.int64)]
        self._lines = self._notes = 0

    def add(self, piece: str, family: str, notes: Notes) -> None:
        """Add a piece with its SHA-256, its family and its notes, sorted by onset."""
        self._ids.append(bytes.fromhex(piece))
        self._families.append(bytes.fromhex(family))
        lines = lines_of(notes)
        entries, words, starts, ends = _indexed(lines.pitch, lines.onset, lines.first, self._notes)
        self._entries.append(entries)
        self._words.append(words)
        self._starts.append(starts)
        self._ends.append(ends)
        self._lines += len(starts)
        self._notes += len(words)
        self._piece_line.append(self._lines)

    def content(self) -> bytes:
        """Return the content of the file."""
        entries = np.concatenate(self._entries)
        entries.sort()
        bits = int(np.clip(np.ceil(np.log2(max(len(entries), 1) / IN_BUCKET)), 0, HASH_BITS - LOW_BITS))
        hashes = entries >> np.uint64(HASH_BITS)
        firsts = np.arange(2**bits + 1, dtype=np.uint64) << np.uint64(HASH_BITS - bits)
        columns = {
            "piece": b"".join(self._ids),
            "family": b"".join(self._families),
            "piece_line": self._piece_line,
            "line_note": np.concatenate(self._ends),
            "line_start": np.concatenate(self._starts),
            "bucket": np.searchsorted(hashes, firsts),
            "place": entries & np.uint64(2**HASH_BITS - 1),
            "low": hashes >> np.uint64(HASH_BITS - LOW_BITS - bits) & np.uint64(2**LOW_BITS - 1),
            "word": np.concatenate(self._words),
        }
        content = bytearray()
        for column in COLUMNS:
            values = columns[column.name]
            content += values if isinstance(values, bytes) else np.asarray(values).astype(column.dtype).tobytes()
            content += bytes(-len(content) % 8)
        counts = len(self._ids), self._lines, self._notes, len(entries), bits
        return pack_head(*counts, zlib.crc32(content)).ljust(HEAD, b"\0") + bytes(content)

    def write(self, path: Folder) -> None:
        """Write the file. Not atomic on a disk: write into a staging folder."""
        path.write_bytes(self.content())


def write_index(path: Folder, pieces: Iterable[tuple[str, str, Notes]]) -> None:
    """Write the index of pieces, each as `IndexWriter.add` takes it, as `IndexWriter.write` does."""
    writer = IndexWriter()
    for piece in pieces:
        writer.add(*piece)
    writer.write(path)


@compiled
def _indexed(
    pitch: NDArray[np.uint8], onset: NDArray[np.float64], first: NDArray[np.int64], before: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint16], NDArray[np.float32], NDArray[np.int64]]:
    """Return hash and place of the grams that are kept of a piece's lines, and of the lines that have some the words,
    the onset of the first note, and the end.

    `first`: where each line begins, and the number of notes. `before`: notes of the pieces before, from which places
    and ends count on.
    """
    lines = len(first) - 1
    entries, words = np.empty(len(pitch), np.uint64), np.empty(len(pitch), np.uint16)
    starts, ends = np.empty(lines, np.float32), np.empty(lines, np.int64)
    grams_kept = notes = lines_kept = 0
    for line in range(lines):
        begin, end = first[line], first[line + 1]
        hashes = grams(pitch[begin:end])
        kept = winnowed(hashes)
        if len(kept) == 0:
            continue
        for place in kept:
            entries[grams_kept] = hashes[place] << np.uint64(HASH_BITS) | np.uint64(before + notes + place)
            grams_kept += 1
        put(to_words(pitch[begin:end], onset[begin:end]), words, notes)
        notes += end - begin
        starts[lines_kept], ends[lines_kept] = onset[begin], before + notes
        lines_kept += 1
    return entries[:grams_kept].copy(), words[:notes].copy(), starts[:lines_kept].copy(), ends[:lines_kept].copy()
