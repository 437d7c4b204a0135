"""The cache of facts: the same facts as the store's parts hold, whatever happened to the cache or the parts."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.ingestion.parsing.checksum import checksum
from flows.ingestion.parsing.facts_cache import MOST_FILES
from flows.ingestion.parsing.store import COLUMNS, VERSION, Store

ROW: dict[str, Any] = {**dict.fromkeys(COLUMNS), "repairs": ["truncated"], "notes": 20, "fingerprint": b"\1\2" * 8}
"""Facts of each type of column; what they say does not matter here."""


class Lake:
    """A store of which parts are taken away, so that it shows which facts come from the cache."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.plain = Store(home / "pieces")
        self.cache = home / "cache" / VERSION

    @property
    def store(self) -> Store:
        return Store(self.home / "pieces", self.home / "cache")

    def write(self, *names: str) -> str:
        rows = [{**ROW, "sha256": name} for name in names]
        return self.plain.write({column: [row[column] for row in rows] for column in COLUMNS})

    def files(self) -> list[Path]:
        return sorted(self.cache.iterdir())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def in_order(facts: pl.DataFrame) -> pl.DataFrame:
    return facts.sort("sha256")


def mapped_at(address: int) -> Iterator[str]:
    """Yield the file that is mapped at an address of this process."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        first, end = (int(bound, 16) for bound in line.split()[0].split("-"))
        if first <= address < end and len(line.split()) > 5:
            yield line.split()[5]


class TestCache:
    def test_holds_the_facts_of_all_parts(self, lake: Lake) -> None:
        lake.write("aa", "bb")
        lake.write("dd")
        assert_frame_equal(in_order(lake.store.facts()), in_order(lake.plain.facts()))
        assert_frame_equal(in_order(lake.store.facts()), in_order(lake.plain.facts()))

    def test_spares_reading_the_parts(self, lake: Lake) -> None:
        part = lake.write("aa")
        lake.store.facts()
        path = lake.plain.folder / part
        status = path.stat()
        path.write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert lake.store.facts()["sha256"].to_list() == ["aa"]

    def test_leaves_fingerprints_in_its_files(self, lake: Lake) -> None:
        lake.write("aa", "bb")
        lake.store.facts()
        lake.write("cc", "dd")
        lake.store.facts()
        facts = lake.store.facts()
        chosen = facts.join(pl.DataFrame({"sha256": ["aa", "cc"]}), on="sha256", how="semi")
        _, _, *data = chosen["fingerprint"].to_arrow(compat_level=pl.CompatLevel.newest()).buffers()
        assert {path for buffer in data for path in mapped_at(buffer.address)} == {str(path) for path in lake.files()}

    def test_takes_what_was_read_of_some_parts(self, lake: Lake) -> None:
        part = lake.write("aa")
        lake.store.facts([part])
        assert [pl.read_ipc(path)["sha256"].to_list() for path in lake.files()] == [["aa"]]

    def test_grows_by_new_parts_alone(self, lake: Lake) -> None:
        lake.write("aa")
        lake.store.facts()
        (before,) = lake.files()
        lake.write("bb")
        assert sorted(lake.store.facts()["sha256"]) == ["aa", "bb"]
        (added,) = {*lake.files()} - {before}
        assert pl.read_ipc(added)["sha256"].to_list() == ["bb"]

    def test_is_merged_once_there_are_many_files(self, lake: Lake) -> None:
        names = [f"{number:02}" for number in range(MOST_FILES + 3)]
        for name in names:
            lake.write(name)
            assert len(lake.store.facts()) == int(name) + 1
            assert len(lake.files()) <= MOST_FILES
        assert sorted(lake.store.facts()["sha256"]) == names


class TestDamage:
    @pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: b"?" + data[1:]])
    def test_drops_a_file_that_is_not_what_was_written(self, lake: Lake, damage: Any) -> None:
        lake.write("aa")
        expected = lake.store.facts()
        (path,) = lake.files()
        path.write_bytes(damage(path.read_bytes()))
        assert_frame_equal(lake.store.facts(), expected)
        assert_frame_equal(pl.read_ipc(*lake.files()).drop("stamp"), expected)

    def test_one_flipped_bit_in_it_is_found(self, lake: Lake) -> None:
        lake.write("aa")
        expected = lake.store.facts()
        (path,) = lake.files()
        data = path.read_bytes()
        at = data.index(b"truncated")
        path.write_bytes(data[:at] + b"T" + data[at + 1 :])
        assert_frame_equal(lake.store.facts(), expected)

    def test_drops_a_whole_file_with_other_columns(self, lake: Lake) -> None:
        lake.write("aa")
        expected = lake.store.facts()
        foreign = io.BytesIO()
        pl.DataFrame({"part": ["x"], "sha256": ["zz"]}).write_ipc(foreign)
        path = lake.cache / f"{checksum(foreign.getvalue())}.arrow"
        path.write_bytes(foreign.getvalue())
        assert_frame_equal(lake.store.facts(), expected)
        assert not path.exists()


class TestParts:
    def test_of_one_that_is_gone_nothing_is_known(self, lake: Lake) -> None:
        part = lake.write("aa")
        lake.write("bb")
        lake.store.facts()
        (lake.plain.folder / part).unlink()
        assert lake.store.facts()["sha256"].to_list() == ["bb"]

    def test_one_that_was_changed_is_read_again_and_found_damaged(self, lake: Lake) -> None:
        part = lake.write("aa")
        lake.write("bb")
        lake.store.facts()
        (lake.plain.folder / part).write_bytes(b"damage")
        assert lake.store.facts()["sha256"].to_list() == ["bb"]
        assert part not in lake.plain.parts()

    def test_one_that_two_ingestions_added_counts_once(self, lake: Lake) -> None:
        part = lake.write("aa")
        lake.store.facts()
        lake.write("bb")
        lake.store.facts([part, *lake.plain.parts()])
        assert sorted(lake.store.facts()["sha256"]) == ["aa", "bb"]
