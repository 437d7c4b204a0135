"""Duplicates: of several equal ones the first is kept, the others point to it."""

from __future__ import annotations

from flows.ingestion.duplicates import first_of_equal, mark_duplicates
from flows.ingestion.manifest import Entry, Reason, Status


def entry(path: str, sha256: str) -> Entry:
    return Entry(path, "songs", sha256, 10, "CC0", None, Status.ACCEPTED)


def test_the_first_of_equal_keys() -> None:
    assert first_of_equal(["a", "b", "a", "c", "b", "a"]) == [0, 1, 0, 3, 1, 0]


def test_no_key_equals_nothing() -> None:
    assert first_of_equal([None, "a", None, "a"]) == [0, 1, 2, 1]


def test_later_ones_point_to_the_first_and_join_its_family() -> None:
    entries = [entry("1.mid", "aa"), entry("2.mid", "bb"), entry("3.mid", "cc")]
    first, other, later = mark_duplicates(entries, ["x", "y", "x"], Reason.SAME_NOTES)
    assert [first, other] == entries[:2]
    assert (later.status, later.reason) == (Status.DUPLICATE, Reason.SAME_NOTES)
    assert (later.path, later.detail, later.family) == ("3.mid", "songs/1.mid", "aa")


def test_entries_without_a_key_stay_as_they_are() -> None:
    entries = [entry("1.mid", "aa"), entry("2.mid", "aa")]
    assert mark_duplicates(entries, [None, None], Reason.SAME_BYTES) == entries
