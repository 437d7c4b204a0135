"""Reading: bytes in the order asked for, never more than allowed, and a plain reason where there are none."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.ingestion.sources import (
    ContainerKind,
    FileRef,
    Listing,
    ReadFailure,
    file_refs,
    in_reading_order,
    read_files,
)
from flows.ingestion.sources.reading import reader as module

LayOut = Callable[..., Path]
Find = Callable[..., Listing]
Pack = Callable[..., Path]


def file(path: Path, size: int) -> FileRef:
    return FileRef(ContainerKind.FOLDER, str(path.parent), path.name, size)


def test_in_the_order_asked_for(find: Find, lay_out: LayOut, pack: Pack) -> None:
    root = lay_out(*(f"{number}.mid" for number in range(300)))
    songs = {f"{number}.mid": f"{number}".encode() * 50 for number in range(300)}
    for kind in ("x.zip", "x.tar", "x.tar.gz"):
        pack(root / kind, songs)
    files = find(root).files.sample(fraction=1, shuffle=True, seed=0)
    for order in (files, in_reading_order(files)):
        for path, data in zip(order["path"], read_files(file_refs(order), 10**6), strict=True):
            assert data == (path.encode() if path.count("/") == 0 else songs[path.split("/")[1]])


def test_nothing_is_read_of_nothing() -> None:
    assert list(read_files([], 10)) == []


def test_a_location_is_small_and_travels(find: Find, pack: Pack, tmp_path: Path) -> None:
    where = file_refs(find(pack(tmp_path / "x.tar.gz", {"1.mid": b"1"})).files)
    assert pickle.loads(pickle.dumps(where)) == where
    assert len(pickle.dumps(where)) < 500


class TestPlainFiles:
    def test_beyond_the_limit(self, lay_out: LayOut) -> None:
        path = lay_out(contents={"1.mid": bytes(11)}) / "1.mid"
        assert list(read_files([file(path, 11)], 11)) == [bytes(11)]
        assert list(read_files([file(path, 11)], 10)) == [ReadFailure("11 bytes; the limit is 10", too_large=True)]

    @pytest.mark.parametrize(
        ("listed", "detail"),
        [(5, "it is longer than listed (5 bytes)"), (20, "it is cut short: 11 of 20 bytes read")],
    )
    def test_changed_since_they_were_listed(self, lay_out: LayOut, listed: int, detail: str) -> None:
        path = lay_out(contents={"1.mid": bytes(11)}) / "1.mid"
        assert list(read_files([file(path, listed)], 100)) == [ReadFailure(detail)]

    def test_gone(self, tmp_path: Path) -> None:
        assert list(read_files([file(tmp_path / "1.mid", 3)], 10)) == [ReadFailure("No such file or directory")]

    def test_a_folder_now(self, tmp_path: Path) -> None:
        assert list(read_files([file(tmp_path, 3)], 10)) == [ReadFailure("Is a directory")]


def test_an_archive_that_is_gone(find: Find, pack: Pack, tmp_path: Path) -> None:
    kinds = ["x.zip", "x.tar", "x.tar.gz"]
    archives = [pack(tmp_path / "archives" / kind, {"1.mid": b"1"}) for kind in kinds]
    where = file_refs(find(tmp_path / "archives").files)
    for archive in archives:
        archive.unlink()
    details = [failure.detail for failure in read_files(where, 10) if isinstance(failure, ReadFailure)]
    assert len(details) == 3
    assert all("No such file or directory" in detail for detail in details)


def test_many_archives_keep_few_files_open(find: Find, lay_out: LayOut, pack: Pack) -> None:
    root = lay_out()
    number = 2 * module.OPEN_CONTAINERS
    for archive in range(number):
        pack(root / f"{archive}.{'tar' if archive % 2 else 'tgz'}", {"1.mid": b"%d" % archive})
    where = file_refs(find(root).files)
    before = len(list(Path("/proc/self/fd").iterdir()))
    contents = read_files(where, 10)
    first = next(contents)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + module.OPEN_CONTAINERS + 1
    assert {first, *contents} == {b"%d" % archive for archive in range(number)}
    assert len(list(Path("/proc/self/fd").iterdir())) == before
