"""The bytes of refused files: what they begin with, and how far they are chunks."""

from __future__ import annotations

import pytest

from flows.ingestion.queries.byte_story import NEEDS, story_of
from tokenization.dataset.manifest import QUARANTINE_REASONS

HEADER = bytes.fromhex("4d546864 00000006 0001 0002 01e0".replace(" ", ""))
EMPTY_TRACK = b"MTrk\0\0\0\4\0\xff\x2f\0"


def test_a_whole_file_is_followed_to_its_end() -> None:
    story = story_of(HEADER + EMPTY_TRACK + EMPTY_TRACK)
    assert story.size == 38
    assert story.head == "4d 54 68 64 00 00 00 06 00 01 00 02 01 e0 4d 54  MThd..........MT"
    assert story.structure == [
        "MThd at byte 0, 6 bytes: format 1, 2 tracks, 480 ticks a quarter note",
        "MTrk at byte 14, 4 bytes",
        "MTrk at byte 26, 4 bytes",
        "ends with its last chunk, at byte 38",
    ]


def test_a_track_that_is_cut_off_says_how_much_is_there() -> None:
    assert story_of(HEADER + b"MTrk\0\0\1\0abc").structure[-1] == "MTrk at byte 14, 256 bytes, 3 of them there"


def test_bytes_that_are_no_chunk_end_the_story() -> None:
    assert story_of(HEADER + b"\0\1\2\3junk").structure[-1] == "no chunk at byte 14: 00 01 02 03 6a 75 6e 6b"


def test_a_header_behind_something_is_found() -> None:
    assert story_of(b"x" + HEADER).structure[:2] == [
        "1 byte before the header",
        "MThd at byte 1, 6 bytes: format 1, 2 tracks, 480 ticks a quarter note",
    ]


def test_frames_are_told_from_beats() -> None:
    header = HEADER[:12] + bytes([256 - 25, 40])
    assert story_of(header).structure[0].endswith("2 tracks, 25 frames a second of 40 ticks")


def test_many_chunks_are_cut_short() -> None:
    structure = story_of(HEADER + 20 * EMPTY_TRACK).structure
    assert len(structure) == 10
    assert structure[-2:] == ["… and 13 more chunks", "ends with its last chunk, at byte 254"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><html>", "a web page or XML, probably saved in place of the file"),
        (bytes(100), "nothing but zero bytes"),
        (b"PK\3\4" + bytes(30), "a zip archive; name it .zip and its MIDI files are read"),
        (b"hello", "no MThd header, so no chunk to follow"),
    ],
)
def test_other_content_is_named(data: bytes, kind: str) -> None:
    assert story_of(data).structure == [kind]


def test_every_reason_says_what_would_let_the_file_in() -> None:
    assert NEEDS.keys() == {*QUARANTINE_REASONS}
