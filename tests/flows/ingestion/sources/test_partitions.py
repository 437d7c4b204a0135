"""Partitions: boundaries come from the files and are kept by later versions, so that a change stays where it is."""

from __future__ import annotations

import hashlib

import polars as pl

from flows.ingestion.sources import assign_partitions
from flows.ingestion.sources.partitions import MOST_SMALL, number_partitions


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


def inherited(frame: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """What a version records of its files."""
    return frame.select("sha256", numbers.alias("partition"))


def grown(before: pl.DataFrame, after: pl.DataFrame, size: int) -> dict[str, tuple[int, int]]:
    """By file of `after` that was there before, its partitions in the two versions."""
    first = number_partitions(before, size)
    second = assign_partitions(after, size, inherited(before, first))
    numbered = after.with_columns(second.alias("second")).join(inherited(before, first), on="sha256")
    return {row["sha256"]: (row["partition"], row["second"]) for row in numbered.to_dicts()}


def test_the_first_version_is_divided_by_content() -> None:
    assert assign_partitions(files(*MANY), 100, None).equals(number_partitions(files(*MANY), 100))
    assert assign_partitions(files(*MANY), 100, inherited(files(), pl.Series([], dtype=pl.Int64))).max() > 30  # type: ignore[operator]


def test_files_anywhere_leave_all_earlier_partitions_as_they_are() -> None:
    spread = [
        name for number, old in enumerate(MANY) for name in ([old, f"new {number}"] if number % 40 == 0 else [old])
    ]
    before, after = number_partitions(files(*MANY), 100), files(*spread)
    numbers = assign_partitions(after, 100, inherited(files(*MANY), before))
    new = numbers.filter(~after["sha256"].is_in(files(*MANY)["sha256"].implode()))
    assert new.min() == before.max() + 1  # type: ignore[operator]
    assert new.n_unique() <= 4
    assert numbers.filter(after["sha256"].is_in(files(*MANY)["sha256"].implode())).to_list() == before.to_list()


def test_new_files_are_divided_as_if_they_were_alone() -> None:
    new = [f"new {number}" for number in range(2000)]
    record = inherited(files(*MANY), number_partitions(files(*MANY), 100))
    numbers = assign_partitions(files(*MANY, *new), 100, record)[len(MANY) :]
    assert numbers.equals(number_partitions(files(*new), 100) + record["partition"].max() + 1, check_names=False)


def test_renamed_and_removed_files_move_no_other() -> None:
    before = files(*MANY)
    for first, second in grown(before, files(*reversed(MANY[100:])), 100).values():
        assert first == second


def test_a_file_that_cannot_be_read_lies_with_its_neighbour() -> None:
    numbers = assign_partitions(files(None, "a", None, "new"), 100, inherited(files("a"), pl.Series([7])))
    assert numbers.to_list() == [7, 7, 7, 8]
    assert assign_partitions(files(None), 100, inherited(files("a"), pl.Series([7]))).to_list() == [0]


def test_small_partitions_are_merged_once_there_are_many() -> None:
    size, frame = 160, files(*MANY)
    numbers = number_partitions(frame, size)
    counts = []
    for day in range(60):
        record = inherited(frame, numbers)
        frame = pl.concat([frame, files(f"day {day}")])
        numbers = assign_partitions(frame, size, record)
        counts.append(numbers.n_unique())
    assert max(counts) <= counts[0] + MOST_SMALL + 60 // 10 + 1
    assert counts != sorted(counts)


def test_the_order_of_the_record_does_not_matter() -> None:
    before = inherited(files(*MANY), number_partitions(files(*MANY), 100))
    shuffled = before.sample(fraction=1, shuffle=True, seed=1)
    after = files(*MANY, "new")
    assert assign_partitions(after, 100, before).equals(assign_partitions(after, 100, shuffled))
