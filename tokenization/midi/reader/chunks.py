"""The bytes of a file: chunks, numbers of variable length. Nothing here raises; what is not there is said so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

Bytes = NDArray[np.uint8]


@compiled
def byte_at(data: Bytes, at: int) -> int:
    """A byte as a number that may be shifted beyond 255."""
    return np.int64(data[at])  # type: ignore[return-value]


@compiled
def is_track(data: Bytes, at: int) -> bool:
    """Whether `MTrk` stands here."""
    return (
        at + 4 <= len(data)
        and data[at] == 0x4D
        and data[at + 1] == 0x54
        and data[at + 2] == 0x72
        and data[at + 3] == 0x6B
    )


@compiled
def next_track(data: Bytes, at: int) -> int:
    """Where the next `MTrk` stands, the end of the data if nowhere."""
    while at < len(data) and not is_track(data, at):
        at += 1
    return at


@compiled
def size_of(data: Bytes, at: int) -> int:
    """The length that the chunk at `at` claims."""
    size = 0
    for index in range(at + 4, at + 8):
        size = size << 8 | byte_at(data, index)
    return size


@compiled
def chunk_or_end(data: Bytes, at: int) -> bool:
    """Whether a chunk could begin here, or nothing is left."""
    left = len(data) - at
    if left < 8:
        return left == 0
    if is_track(data, at):
        return True
    for index in range(at, at + 4):
        if not 0x20 <= data[index] <= 0x7E:
            return False
    return size_of(data, at) <= left - 8


@compiled
def is_nearly_track(data: Bytes, at: int) -> bool:
    """Whether `MTrk` with one wrong letter stands here, and its length is right."""
    wrong = 0
    for index, letter in enumerate((0x4D, 0x54, 0x72, 0x6B)):
        if data[at + index] != letter:
            wrong += 1
    end = at + 8 + size_of(data, at)
    return wrong == 1 and end <= len(data) and chunk_or_end(data, end)


@compiled
def quantity(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The variable-length quantity at `at` and where it ends; -1 if it is cut or longer than four bytes."""
    value = 0
    for index in range(at, min(at + 4, end)):
        byte = byte_at(data, index)
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, index + 1
    return -1, at
