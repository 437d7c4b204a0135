"""The store of pieces: rows come back, what is damaged or of another reader does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.ingestion.parsing.store import COLUMNS, FACTS, ROW_GROUP, VERSION, RowRef, Store
from infra.files import STAGING_PREFIX

GOOD: dict[str, Any] = {
    "sha256": "aa",
    "refusal": None,
    "detail": None,
    "repairs": ["truncated"],
    "notes": 20,
    "seconds": 4.95,
    "tempo": 120.0,
    "programs": [0, 127],
    "drums": True,
    "note_hash": "cc",
    "fingerprint": b"\1\2\3\4",
    "score": b"the notes",
}
BAD: dict[str, Any] = {
    **dict.fromkeys(COLUMNS),
    "sha256": "bb",
    "refusal": "no_notes",
    "detail": "nothing sounds",
    "repairs": [],
}


def columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in COLUMNS}


def pieces(first: int, count: int) -> list[dict[str, Any]]:
    return [{**GOOD, "sha256": f"{number:064x}", "score": score(number)} for number in range(first, first + count)]


def score(number: int) -> bytes:
    """Some bytes, of other lengths for other numbers."""
    return np.random.default_rng(number).bytes(500 + number)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


class TestFacts:
    def test_come_back_as_they_were_written_with_their_place(self, store: Store) -> None:
        part = store.write(columns([GOOD, BAD]))
        facts = store.facts()
        assert facts.columns == [*FACTS, "part", "row"]
        first, second = facts.to_dicts()
        assert first == {**{name: GOOD[name] for name in FACTS}, "part": part, "row": 0}
        assert second == {**{name: BAD[name] for name in FACTS}, "part": part, "row": 1}

    def test_of_a_store_that_is_not_there_yet(self, store: Store) -> None:
        facts = store.facts()
        assert (len(facts), facts.columns) == (0, [*FACTS, "part", "row"])
        assert not store.folder.exists()
        full = Store(store.folder.parent)
        full.write(columns([GOOD]))
        assert facts.schema == full.facts().schema

    def test_of_some_parts_only(self, store: Store) -> None:
        store.write(columns(pieces(0, 3)))
        part = store.write(columns(pieces(3, 2)))
        assert store.facts([part])["sha256"].to_list() == [f"{3:064x}", f"{4:064x}"]
        assert len(store.facts()) == 5

    def test_a_piece_that_two_parts_have_is_told_once(self, store: Store) -> None:
        store.write(columns(pieces(0, 3)))
        store.write(columns(pieces(2, 3)))
        assert sorted(store.facts()["sha256"]) == [f"{number:064x}" for number in range(5)]

    def test_a_reading_counts_more_than_a_refusal_of_the_same_bytes(self, store: Store) -> None:
        """Some part with a transient refusal comes first by its name, some last."""
        for number in range(8):
            store.write(columns([{**BAD, "sha256": "aa", "refusal": "timed_out", "detail": f"try {number}"}]))
        store.write(columns([GOOD]))
        (row,) = store.facts().to_dicts()
        assert (row["refusal"], row["notes"]) == (None, 20)


class TestParts:
    def test_are_named_by_their_content(self, tmp_path: Path) -> None:
        one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
        assert one.write(columns([GOOD, BAD])) == other.write(columns([GOOD, BAD])) == one.write(columns([GOOD, BAD]))
        assert one.write(columns([BAD, GOOD])) != one.write(columns([GOOD, BAD]))
        assert len(one.parts()) == 2
        assert other.parts() == [path.name for path in (tmp_path / "other" / VERSION).iterdir()]

    def test_a_damaged_part_is_dropped_and_the_others_stay(self, store: Store) -> None:
        damaged, whole = store.write(columns(pieces(0, 3))), store.write(columns([GOOD]))
        path = store.folder / damaged
        path.write_bytes(path.read_bytes()[:-20])
        assert store.facts()["sha256"].to_list() == ["aa"]
        assert store.parts() == [whole]

    @pytest.mark.parametrize("content", [b"", b"no Parquet at all", b"PAR1" * 10])
    def test_a_foreign_file_among_them_is_dropped(self, store: Store, content: bytes) -> None:
        part = store.write(columns([GOOD]))
        (store.folder / f"{'0' * 32}.parquet").write_bytes(content)
        assert len(store.facts()) == 1
        assert store.parts() == [part]

    def test_of_another_reader_are_not_seen_and_not_touched(self, tmp_path: Path) -> None:
        Store(tmp_path).write(columns([GOOD]))
        (tmp_path / VERSION).rename(tmp_path / "reader0-fingerprint0")
        assert Store(tmp_path).parts() == []
        assert len(list((tmp_path / "reader0-fingerprint0").iterdir())) == 1

    def test_what_a_killed_writer_left_is_removed(self, store: Store) -> None:
        part = store.write(columns([GOOD]))
        (store.folder / f"{STAGING_PREFIX}999999999-abcdef01-{part}").write_bytes(b"half")
        assert store.parts() == [part]
        assert [path.name for path in store.folder.iterdir()] == [part]

    def test_are_parquet_that_other_tools_open(self, store: Store) -> None:
        part = store.write(columns([GOOD, BAD]))
        frame = pl.read_parquet(store.folder / part)
        assert frame.columns == list(COLUMNS)
        assert frame["score"].to_list() == [b"the notes", None]


COUNTS = (2 * ROW_GROUP + 7, 1, ROW_GROUP)
"""Pieces in each of three parts."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[RowRef]]:
    """A store and the place of every piece in it."""
    store, places, first = Store(tmp_path_factory.mktemp("pieces")), [], 0
    for count in COUNTS:
        part = store.write(columns(pieces(first, count)))
        places += [RowRef(part, row) for row in range(count)]
        first += count
    return store, places


class TestScores:
    @settings(deadline=None, max_examples=30)
    @given(wanted=st.lists(st.integers(0, sum(COUNTS) - 1), max_size=20))
    def test_come_in_the_order_asked_for(self, shelf: tuple[Store, list[RowRef]], wanted: list[int]) -> None:
        store, places = shelf
        found = store.scores([places[number] for number in wanted])
        assert [bytes(data) for data in found] == [score(number) for number in wanted]

    def test_of_all_pieces_at_once(self, shelf: tuple[Store, list[RowRef]]) -> None:
        store, places = shelf
        assert list(map(bytes, store.scores(places))) == [score(number) for number in range(sum(COUNTS))]

    def test_of_a_part_that_is_gone(self, shelf: tuple[Store, list[RowRef]]) -> None:
        with pytest.raises(FileNotFoundError):
            shelf[0].scores([RowRef("gone.parquet", 0)])

    def test_one_bit_of_damage_is_found_and_the_part_is_dropped(self, store: Store) -> None:
        """The facts of such a part may be whole, so reading them finds nothing."""
        part = store.write(columns(pieces(0, 3)))
        data = bytearray((store.folder / part).read_bytes())
        data[data.index(score(1)[100:150])] ^= 1
        (store.folder / part).write_bytes(data)
        assert len(store.facts()) == 3
        with pytest.raises(OSError, match="CRC"):
            store.scores([RowRef(part, 1)])
        assert store.parts() == []
