"""The cache of hashes: an unchanged file is not read again, a changed one always is."""

from __future__ import annotations

import hashlib
import io
import os
import time
import zipfile
from pathlib import Path

import polars as pl
import pytest

from flows.ingestion.sources import Collection, inventory
from flows.ingestion.sources.hash_cache import MOST_PARTS
from flows.ingestion.sources.inventory import HASHES, scan
from flows.ingestion.sources.listing import folder_walk


class Scans:
    """Scans of a folder with one cache, which count the files that they read."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.songs, self.index = home / "songs", home / "cache"
        self.songs.mkdir()
        self.read: list[str] = []
        monkeypatch.setattr(folder_walk, "RECENT_NS", 0)  # files of this test are younger than two seconds
        plain = inventory.read_files

        def counted(files, max_bytes):
            self.read += [file.member or f"{Path(file.container).name}@{file.offset}" for file in files]
            return plain(files, max_bytes)

        monkeypatch.setattr(inventory, "read_files", counted)

    def __call__(self) -> tuple[dict[str, str], list[str]]:
        """The hashes by path, and the files that were read for them."""
        self.read.clear()
        time.sleep(0.02)  # the clock of file systems ticks every few milliseconds
        place = Collection(name="songs", location=str(self.songs), licence="CC0")
        found = scan([place], str(self.index.parent / "lake"), self.index, 2**20, 2, lambda *_: None)
        return dict(found.files.select("path", "sha256").iter_rows()), sorted(self.read)

    def write(self, name: str, data: bytes) -> None:
        (self.songs / name).write_bytes(data)

    @property
    def parts(self) -> list[Path]:
        return list((self.index / HASHES).glob("*.parquet"))


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scans:
    made = Scans(tmp_path, monkeypatch)
    made.write("a.mid", b"MThd a")
    made.write("b.mid", b"MThd b")
    return made


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_unchanged_file_is_not_read_again(scans: Scans) -> None:
    first, read = scans()
    assert read == ["a.mid", "b.mid"]
    assert scans() == (first, [])
    scans.write("c.mid", b"MThd c")
    assert scans() == (first | {"c.mid": sha(b"MThd c")}, ["c.mid"])


def test_a_changed_file_is_read_again_even_with_its_size_and_its_old_date(scans: Scans) -> None:
    scans()
    before = (scans.songs / "a.mid").stat()
    scans.write("a.mid", b"MThd A")
    os.utime(scans.songs / "a.mid", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert scans() == ({"a.mid": sha(b"MThd A"), "b.mid": sha(b"MThd b")}, ["a.mid"])


def test_a_file_in_the_place_of_another_is_read(scans: Scans) -> None:
    scans()
    (scans.songs / "a.mid").rename(scans.songs / "b.mid")
    assert scans() == ({"b.mid": sha(b"MThd a")}, ["b.mid"])


def test_a_file_changed_just_now_is_not_trusted_to_stay(scans: Scans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_walk, "RECENT_NS", 10**12)
    assert scans()[1] == scans()[1] == ["a.mid", "b.mid"]


def test_members_of_an_archive_are_read_again_with_the_archive(scans: Scans) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.mid", b"MThd x")
        archive.writestr("y.mid", b"MThd y")
    scans.write("m.zip", buffer.getvalue())
    first, read = scans()
    assert len(read) == 4
    assert first["m.zip/y.mid"] == sha(b"MThd y")
    assert scans() == (first, [])
    os.utime(scans.songs / "m.zip")
    again, read = scans()
    assert again == first
    assert [name.split("@")[0] for name in read] == ["m.zip", "m.zip"]


def test_parts_are_merged_and_lose_no_hash(scans: Scans) -> None:
    for number in range(MOST_PARTS + 3):
        scans.write(f"{number}.mid", b"MThd %d" % number)
        _, read = scans()
        assert len(read) == (1 if number else 3)
    assert len(scans.parts) < MOST_PARTS
    assert scans()[1] == []


def test_a_merge_leaves_out_what_files_held_before(scans: Scans) -> None:
    for number in range(MOST_PARTS + 1):
        scans.write("a.mid", b"MThd %d" % number)
        scans()
    rows = pl.concat([pl.read_parquet(part) for part in scans.parts])
    assert rows.filter(member=b"a.mid").height <= 2


def test_a_damaged_part_costs_only_reading(scans: Scans) -> None:
    first, _ = scans()
    for part in scans.parts:
        part.write_bytes(b"no Parquet")
    assert scans() == (first, ["a.mid", "b.mid"])
