"""The bytes of a refused file: its beginning, and how far it has the structure of a MIDI file.

Source: "Standard MIDI Files 1.0" (RP-001): a header chunk `MThd` and track chunks `MTrk`, each with a big-endian
length of 32 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from infra.wording import counted
from tokenization.dataset.manifest import Reason
from tokenization.midi.containers import container_of

SHOWN_BYTES = 16
SHOWN_CHUNKS = 8
HEADER = struct.Struct(">4sI")
FIELDS = struct.Struct(">HHh")
SEARCHED = 64 * 2**10
"""Bytes in which a header behind a wrapper is looked for."""
PAGES = (b"<!doctype", b"<html", b"<?xml")

NEEDS = {
    Reason.NOT_MIDI: "a MIDI file in its place",
    Reason.TRUNCATED: "the bytes that are missing: copy or download it again",
    Reason.DAMAGED: "a copy that is whole: most of its events make no sense",
    Reason.NO_NOTES: "notes: it holds none, so there is nothing to learn from it",
    Reason.TOO_SHORT: "a lower limits.min_notes",
    Reason.TOO_LONG: "a higher limits.max_notes or limits.max_seconds",
    Reason.TOO_LARGE: "a higher reading.max_bytes",
    Reason.TOO_DENSE: "a higher limits.max_notes_per_second",
    Reason.UNSUPPORTED_TIMING: "a time division that has a meaning",
    Reason.UNREADABLE_FILE: "the right to read it, and a storage that answers; the next ingestion tries it again",
    Reason.UNREADABLE_ARCHIVE: "an archive that is whole: copy or download it again",
    Reason.LICENCE: "its licence in licences.allow",
    Reason.REPAIRED: "its repair taken out of limits.refused_repairs",
    Reason.PARSER_CRASHED: "a reader that survives it: report it; the next ingestion tries it again",
    Reason.TIMED_OUT: "a higher reading.seconds_per_file; the next ingestion tries it again",
}
"""Per reason of quarantine, what would let the file in."""


@dataclass(frozen=True)
class ByteStory:
    """A description of bytes."""

    size: int
    head: str
    """The first bytes in hexadecimal, and the printable ones of them as text."""
    structure: list[str]
    """Kind of the content, and its chunks as far as they follow each other."""


def story_of(data: bytes) -> ByteStory:
    """Describe the bytes of a file."""
    first = data[:SHOWN_BYTES]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in first)
    lines = list(_structure(data))
    more = [f"… and {counted(len(lines) - SHOWN_CHUNKS - 1, 'more chunk')}"] if len(lines) > SHOWN_CHUNKS + 1 else []
    shown = lines if not more else [*lines[:SHOWN_CHUNKS], *more, lines[-1]]
    return ByteStory(len(data), f"{first.hex(' ')}  {text}".strip(), shown)


def _structure(data: bytes) -> Iterator[str]:
    start = data.find(b"MThd", 0, SEARCHED)
    if start < 0:
        yield _kind(data)
        return
    if start:
        yield f"{counted(start, 'byte')} before the header"
    position = start
    while position < len(data):
        chunk = data[position : position + HEADER.size]
        if len(chunk) < HEADER.size or not chunk[:4].isalpha():
            yield f"no chunk at byte {position:,}: {chunk.hex(' ')}"
            return
        name, length = HEADER.unpack(chunk)
        there = len(data) - position - HEADER.size
        fields = ""
        if name == b"MThd" and length >= FIELDS.size and there >= FIELDS.size:
            kind, tracks, division = FIELDS.unpack_from(data, position + HEADER.size)
            frames = f"{-(division >> 8)} frames a second of {division & 0xFF} ticks"
            time = f"{division} ticks a quarter note" if division >= 0 else frames
            fields = f": format {kind}, {counted(tracks, 'track')}, {time}"
        short = f", {there:,} of them there" if there < length else ""
        yield f"{name.decode('ascii')} at byte {position:,}, {counted(length, 'byte')}{short}{fields}"
        position += HEADER.size + length
    if position == len(data):
        yield f"ends with its last chunk, at byte {position:,}"


def _kind(data: bytes) -> str:
    if not data:
        return "an empty file"
    container = container_of(data)
    if container is not None:
        return container
    start = data[:SEARCHED].lstrip().lower()
    if start.startswith(PAGES):
        return "a web page or XML, probably saved in place of the file"
    if not any(data):
        return "nothing but zero bytes"
    return "no MThd header, so no chunk to follow"
