"""Bytes and chunks of a file: variable-length quantities, and where the tracks lie. Nothing here raises."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.repairs import Repair

Bytes = NDArray[np.uint8]

CHUNK_NAME = Repair.CHUNK_NAME.bit
UNKNOWN_CHUNK = Repair.UNKNOWN_CHUNK.bit


class Track(NamedTuple):
    """The bounds of one track's events, as byte offsets."""

    first: int
    """The first byte after the chunk's name and length."""
    end: int
    """The byte after the last one that may belong to the track."""
    stated_end: int
    """The end by the chunk's length; possibly beyond the file."""
    is_trusted: bool
    """True if a chunk or the end of the file follows `stated_end`, so that the length is believed."""


@compiled
def byte_at(data: Bytes, at: int) -> int:
    """Return a byte as a number that may be shifted beyond 255."""
    return np.int64(data[at])  # type: ignore[return-value]


@compiled
def quantity(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read the variable-length quantity at `at`: its value and where it ends; -1 if cut or longer than four bytes."""
    value = 0
    for index in range(at, min(at + 4, end)):
        byte = byte_at(data, index)
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, index + 1
    return -1, at


@compiled
def is_track(data: Bytes, at: int) -> bool:
    """Return True if `MTrk` stands at `at`."""
    return (
        at + 4 <= len(data)
        and data[at] == 0x4D
        and data[at + 1] == 0x54
        and data[at + 2] == 0x72
        and data[at + 3] == 0x6B
    )


@compiled
def find_track(data: Bytes, at: int, is_surplus: bool) -> tuple[int, int]:
    """Return where the next track's chunk begins, the end of the data if there is none, and the repairs' bits.

    `is_surplus`: the header's number of tracks has been read, so that a further one must follow without junk between.
    """
    repairs = 0
    while at + 8 <= len(data):
        if is_track(data, at):
            return at, repairs
        if _is_nearly_track(data, at):
            return at, repairs | CHUNK_NAME
        if _is_chunk_or_end(data, at):
            repairs |= UNKNOWN_CHUNK
            at += 8 + _stated_size(data, at)
        elif is_surplus:
            break
        else:
            at = _next_name(data, at + 1)
            if at < len(data):
                repairs |= UNKNOWN_CHUNK
    return len(data), repairs


@compiled
def open_track(data: Bytes, at: int) -> Track:
    """Return the bounds of the track whose chunk begins at `at`.

    A length that cannot be right is replaced by the place of the next `MTrk`.
    """
    first = at + 8
    stated_end = first + _stated_size(data, at)
    is_trusted = stated_end <= len(data) and _is_chunk_or_end(data, stated_end)
    end = stated_end if is_trusted else _next_name(data, first)
    return Track(first, end, stated_end, is_trusted)


@compiled
def _next_name(data: Bytes, at: int) -> int:
    """Return where the next `MTrk` stands, the end of the data if nowhere."""
    while at < len(data) and not is_track(data, at):
        at += 1
    return at


@compiled
def _stated_size(data: Bytes, at: int) -> int:
    """Return the length in the header of the chunk at `at`, bytes."""
    size = 0
    for index in range(at + 4, at + 8):
        size = size << 8 | byte_at(data, index)
    return size


@compiled
def _is_chunk_or_end(data: Bytes, at: int) -> bool:
    """Return True if a chunk of printable name and possible length begins at `at`, or if the data ends there."""
    left = len(data) - at
    if left < 8:
        return left == 0
    if is_track(data, at):
        return True
    for index in range(at, at + 4):
        if not 0x20 <= data[index] <= 0x7E:
            return False
    return _stated_size(data, at) <= left - 8


@compiled
def _is_nearly_track(data: Bytes, at: int) -> bool:
    """Return True if `MTrk` with one wrong letter stands at `at`, and its length is right."""
    wrong = 0
    for index, letter in enumerate((0x4D, 0x54, 0x72, 0x6B)):
        if data[at + index] != letter:
            wrong += 1
    end = at + 8 + _stated_size(data, at)
    return wrong == 1 and end <= len(data) and _is_chunk_or_end(data, end)
