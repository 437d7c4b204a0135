"""Taking stock: every file with its SHA-256, in an order that depends on names alone."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import fsspec
import polars as pl
import pytest

from flows.ingestion.sources import Collection, read_files
from flows.ingestion.sources.inventory import CHUNK, Inventory, scan
from infra.errors import UserError


def stock(home: Path, *collections: Collection, max_bytes: int = 2**20, threads: int = 2, steps: list | None = None):
    def progress(done: int, total: int) -> None:
        if steps is not None:
            steps.append((done, total))

    return scan(collections, home / "lake", home / "lake" / "cache", max_bytes, threads, progress)


def collection(folder: Path, **settings: object) -> Collection:
    return Collection.model_validate({"name": folder.name, "location": folder, "licence": "CC0", **settings})


def write(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}.mid").write_bytes(data)
    return folder


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"{name}.mid", data)
    return buffer.getvalue()


def hashes(found: Inventory) -> dict[str, str | None]:
    names = pl.concat_str("collection", "path", separator="/")
    return dict(found.files.select(names, "sha256").iter_rows())


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_file_is_hashed_in_archives_too(tmp_path: Path) -> None:
    home = write(tmp_path / "songs", a=b"MThd a", b=b"MThd b")
    (home / "more.zip").write_bytes(zipped(c=b"MThd c", d=b"MThd d" * 1000))
    found = stock(tmp_path, collection(home))
    assert hashes(found) == {
        "songs/a.mid": sha(b"MThd a"),
        "songs/b.mid": sha(b"MThd b"),
        "songs/more.zip/c.mid": sha(b"MThd c"),
        "songs/more.zip/d.mid": sha(b"MThd d" * 1000),
    }
    assert found.files["reason"].null_count() == 4
    assert set(found.files["licence"]) == {"CC0-1.0"}


def test_rows_come_by_collection_as_given_then_by_path_for_any_number_of_threads(tmp_path: Path) -> None:
    many = write(tmp_path / "many", **{f"{number:04}": b"%d" % number for number in range(2 * CHUNK + 5)})
    few = write(tmp_path / "few", z=b"z", a=b"a")
    found = [stock(tmp_path, collection(many), collection(few), threads=threads) for threads in (1, 3)]
    assert found[0].files.equals(found[1].files)
    names = [f"many/{number:04}.mid" for number in range(2 * CHUNK + 5)]
    assert list(hashes(found[0])) == [*names, "few/a.mid", "few/z.mid"]
    assert hashes(found[0])["many/0300.mid"] == sha(b"300")
    assert list(hashes(stock(tmp_path, collection(few), collection(many))))[:2] == ["few/a.mid", "few/z.mid"]


def test_the_dates_of_files_do_not_matter(tmp_path: Path) -> None:
    home = write(tmp_path / "songs", a=b"a", b=b"b")
    before = stock(tmp_path, collection(home))
    os.utime(home / "a.mid", (0, 0))
    assert stock(tmp_path, collection(home)).files.equals(before.files)


@pytest.mark.parametrize("size", [101, 100_000])
def test_a_file_beyond_the_limit_is_not_read_but_told(tmp_path: Path, size: int) -> None:
    home = write(tmp_path / "songs", large=b"x" * size, small=b"x" * 100)
    large, small = stock(tmp_path, collection(home), max_bytes=100).files.to_dicts()
    assert (large["sha256"], large["reason"], large["size"]) == (None, "too_large", size)
    assert "100" in large["detail"]
    assert (small["sha256"], small["reason"]) == (sha(b"x" * 100), None)


def test_a_damaged_member_is_told_and_the_others_are_hashed(tmp_path: Path) -> None:
    data = bytearray(zipped(a=b"first" * 50, b=b"second" * 50))
    data[data.index(b"a.mid") + 8] ^= 0xFF
    home = write(tmp_path / "songs")
    (home / "bad.zip").write_bytes(data)
    bad, good = stock(tmp_path, collection(home)).files.to_dicts()
    assert (bad["sha256"], bad["reason"]) == (None, "unreadable_file")
    assert bad["detail"]
    assert good["sha256"] == sha(b"second" * 50)


def test_an_archive_that_cannot_be_opened_is_a_row_in_its_place(tmp_path: Path) -> None:
    home = write(tmp_path / "songs", a=b"a", z=b"z")
    (home / "m.zip").write_bytes(b"no archive")
    other = write(tmp_path / "other", b=b"b")
    found = stock(tmp_path, collection(home, licence="CC-BY"), collection(other))
    assert list(hashes(found)) == ["songs/a.mid", "songs/m.zip", "songs/z.mid", "other/b.mid"]
    row = found.files.row(1, named=True)
    assert (row["reason"], row["sha256"], row["licence"], row["size"]) == ("unreadable_archive", None, "CC-BY", 10)
    assert row["detail"]


def test_what_was_left_out_is_counted_by_suffix(tmp_path: Path) -> None:
    home = write(tmp_path / "songs", a=b"a")
    for name in ("cover.jpg", "list.txt", "more.txt"):
        (home / name).write_text("x")
    assert stock(tmp_path, collection(home)).ignored == {"songs": {".jpg": 1, ".txt": 2}}


def test_progress_ends_with_every_file(tmp_path: Path) -> None:
    home = write(tmp_path / "songs", **{f"{number:04}": b"%d" % number for number in range(CHUNK + 5)})
    steps: list[tuple[int, int]] = []
    stock(tmp_path, collection(home), steps=steps)
    assert steps == [(CHUNK, CHUNK + 5), (CHUNK + 5, CHUNK + 5)]


def test_a_collection_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        stock(tmp_path, collection(tmp_path / "nowhere"))


def test_the_lake_itself_is_never_part_of_it(tmp_path: Path) -> None:
    write(tmp_path, song=b"song")
    write(tmp_path / "lake" / "samples", own=b"own")
    assert list(hashes(stock(tmp_path, Collection(name="home", location=str(tmp_path))))) == ["home/song.mid"]


def test_an_object_whose_store_says_that_it_is_the_same_is_not_fetched_again(
    tmp_path: Path, s3_store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def read_and_count(wanted, max_bytes):
        fetched.extend(location.member for location in wanted)
        return read_files(wanted, max_bytes)

    monkeypatch.setattr("flows.ingestion.sources.inventory.read_files", read_and_count)
    store, prefix = fsspec.filesystem("s3"), f"{s3_store.bucket}/versions"
    store.pipe_file(f"{prefix}/a.mid", b"MThd a")
    store.pipe_file(f"{prefix}/b.mid", b"MThd b")
    songs = Collection(name="songs", location=f"s3://{prefix}")
    first = stock(tmp_path, songs)
    assert sorted(fetched) == ["a.mid", "b.mid"]
    fetched.clear()
    store.pipe_file(f"{prefix}/b.mid", b"MThd c")
    store.pipe_file(f"{prefix}/d.mid", b"MThd d")
    again = stock(tmp_path, songs)
    assert sorted(fetched) == ["b.mid", "d.mid"]
    assert hashes(again) == hashes(first) | {"songs/b.mid": sha(b"MThd c"), "songs/d.mid": sha(b"MThd d")}
    fetched.clear()
    assert again.files.equals(stock(tmp_path, songs).files)
    assert fetched == []
