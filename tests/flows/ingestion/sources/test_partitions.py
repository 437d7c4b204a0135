"""Partitions: boundaries come from the files, so that a change stays where it is made."""

from __future__ import annotations

import hashlib

import polars as pl

from flows.ingestion.sources import number_partitions


def files(*names: str | None, collection: str = "songs") -> pl.DataFrame:
    digests = [None if name is None else hashlib.sha256(name.encode()).hexdigest() for name in names]
    rows = {"collection": [collection] * len(digests), "sha256": digests}
    return pl.DataFrame(rows, schema={"collection": pl.String, "sha256": pl.String})


MANY = [str(number) for number in range(4000)]


def runs(frame: pl.DataFrame, size: int) -> set[tuple[str, ...]]:
    """The files of each partition."""
    numbered = frame.with_columns(number_partitions(frame, size))
    return {tuple(rows["sha256"]) for _, rows in numbered.group_by("partition", maintain_order=True)}


def test_numbers_rise_from_0_without_gaps() -> None:
    numbers = number_partitions(files(*MANY), 100)
    assert numbers[0] == 0
    assert set(numbers.diff().drop_nulls()) == {0, 1}


def test_they_have_the_size_asked_for_on_average() -> None:
    assert 30 <= number_partitions(files(*MANY), 100).max() <= 50  # type: ignore[operator]


def test_a_collection_begins_a_new_one() -> None:
    frame = pl.concat([files("a", "b"), files("c", "d", collection="other")])
    assert number_partitions(frame, 2**20).to_list() == [0, 0, 1, 1]


def test_a_file_that_cannot_be_read_opens_none() -> None:
    assert number_partitions(files(None, None, None), 1).to_list() == [0, 0, 0]


def test_a_new_file_changes_one_partition() -> None:
    before = runs(files(*MANY), 100)
    after = runs(files(*MANY[:1234], "new", *MANY[1234:]), 100)
    assert len(before - after) == 1


def test_a_removed_file_changes_two_at_most() -> None:
    before = runs(files(*MANY), 100)
    for removed in (17, 1234, 3999):
        after = runs(files(*MANY[:removed], *MANY[removed + 1 :]), 100)
        assert len(before - after) <= 2


def test_no_files() -> None:
    assert number_partitions(files(), 100).to_list() == []
