"""A MIDI file from the events of its tracks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pytest

Event = tuple[int, bytes]
"""The tick, counted from the start of the file, and the bytes without a delta time."""
END_OF_TRACK = b"\xff\x2f\x00"


def quantity(value: int) -> bytes:
    """A variable-length quantity."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack(">I", len(body)) + body


def track_of(events: Sequence[Event]) -> bytes:
    """The events with their delta times; an End of Track if the last one is not one."""
    body, tick = b"", 0
    for at, event in events:
        body += quantity(at - tick) + event
        tick = at
    return body if events and events[-1][1] == END_OF_TRACK else body + b"\x00" + END_OF_TRACK


@pytest.fixture(scope="session")
def file_of() -> Callable[..., bytes]:
    """The file of some tracks, at 480 ticks a beat; `kind` is its type."""

    def build(*tracks: Sequence[Event], kind: int = 1) -> bytes:
        header = chunk(b"MThd", struct.pack(">HHH", kind, len(tracks), 480))
        return header + b"".join(chunk(b"MTrk", track_of(events)) for events in tracks)

    return build
