"""Archives: members are found and read in place; what is broken costs what is broken, and says so."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.ingestion.sources import Collection, Listing, ReadFailure, file_refs, list_files, read_files
from infra.errors import UserError

Find = Callable[..., Listing]
LayOut = Callable[..., Path]
Pack = Callable[..., Path]
Read = Callable[..., dict[str, bytes | ReadFailure]]

SONGS = {"rock/1.mid": b"one" * 9, "rock/2.mid": b"", "3.MID": bytes(range(256)) * 40}
KINDS = ["songs.zip", "songs.tar", "songs.tar.gz", "songs.tgz", "SONGS.TAR.GZ"]


def problem(listing: Listing) -> str:
    (detail,) = listing.problems["detail"]
    assert "\n" not in detail
    return str(detail)


class TestEveryKind:
    @pytest.mark.parametrize("kind", KINDS)
    def test_as_a_location(self, find: Find, pack: Pack, read: Read, tmp_path: Path, kind: str) -> None:
        found = find(pack(tmp_path / kind, SONGS))
        assert read(found) == SONGS
        assert found.files["size"].to_list() == [10240, 27, 0]
        assert found.problems.is_empty()

    @pytest.mark.parametrize("kind", KINDS)
    def test_in_a_folder(self, find: Find, lay_out: LayOut, pack: Pack, read: Read, kind: str) -> None:
        root = lay_out("0.mid")
        pack(root / "sub" / kind, SONGS)
        inside = {f"sub/{kind}/{path}": data for path, data in SONGS.items()}
        assert read(find(root)) == {"0.mid": b"0.mid"} | inside
        assert sorted(path.name for path in root.rglob("*")) == sorted(["0.mid", "sub", kind])

    @pytest.mark.parametrize("kind", KINDS)
    def test_suffixes_content_and_patterns_decide_as_in_folders(
        self, find: Find, pack: Pack, tmp_path: Path, kind: str
    ) -> None:
        contents = {"song": b"MThd\0\0\0\6\0\0\0\1\0\x60", "README": b"words", "a.txt": b"x", "drafts/1.mid": b"x"}
        more = {"more.zip": b"PK", "more.tar.bz2": b"BZh", "2.mid": b"x"}
        found = find(pack(tmp_path / kind, contents | more), exclude=["drafts"])
        assert found.files["path"].to_list() == ["2.mid", "song"]
        assert found.ignored == {"music": {"": 1, ".bz2": 1, ".mid": 1, ".txt": 1, ".zip": 1}}

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_name_twice(self, find: Find, pack: Pack, tmp_path: Path, kind: str) -> None:
        path = pack(tmp_path / kind, {"1.mid": b"first", "x.mid": b"second"})
        if kind.endswith("zip"):
            path.write_bytes(path.read_bytes().replace(b"x.mid", b"1.mid"))
        else:
            contents = [("1.mid", b"first"), ("1.mid", b"second")]
            with tarfile.open(path, "w:gz" if "g" in kind.lower()[-2:] else "w") as archive:
                for name, data in contents:
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        files = find(path).files
        assert files["path"].to_list() == ["1.mid", "1.mid [2]"]
        assert list(read_files(file_refs(files), 100)) == [b"first", b"second"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_members_beyond_the_limit_are_not_read(
        self, find: Find, pack: Pack, read: Read, tmp_path: Path, kind: str
    ) -> None:
        contents = read(find(pack(tmp_path / kind, SONGS)), max_bytes=1000)
        assert contents["3.MID"] == ReadFailure("10,240 bytes; the limit is 1,000", too_large=True)
        assert contents["rock/1.mid"] == SONGS["rock/1.mid"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_archive_that_is_none(self, find: Find, lay_out: LayOut, kind: str) -> None:
        found = find(lay_out("1.mid", contents={kind: b"<html>404</html>", f"empty-{kind}": b""}))
        assert found.files["path"].to_list() == ["1.mid"]
        assert set(found.problems["path"]) == {kind, f"empty-{kind}"}
        assert dict(found.problems.select("path", "size").iter_rows())[kind] == 16
        why = {
            ".zip": "it cannot be read as .zip: BadZipFile: File is not a zip file",
            ".tar": "it cannot be read as .tar: ReadError: truncated header",
        }
        details = dict(found.problems.select("path", "detail").iter_rows())
        assert details[kind] == why.get(
            Path(kind).suffix, "it cannot be read as .tar: the bytes are not gzip, or damaged"
        )


def test_in_another_process(find: Find, lay_out: LayOut, pack: Pack) -> None:
    root = lay_out("1.mid")
    for kind in KINDS:
        pack(root / kind, SONGS)
    files = find(root).files
    program = """if True:
        import pickle, sys
        from flows.ingestion.sources import read_files
        sys.stdout.buffer.write(pickle.dumps(list(read_files(pickle.load(sys.stdin.buffer), 10**6))))
    """
    child = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(file_refs(files)), stdout=subprocess.PIPE, check=True
    )
    expected = {f"{kind}/{path}": data for kind in KINDS for path, data in SONGS.items()} | {"1.mid": b"1.mid"}
    assert dict(zip(files["path"], pickle.loads(child.stdout), strict=True)) == expected


class TestZip:
    def test_names_that_would_escape_are_only_names(self, find: Find, midi_fixtures: Path, read: Read) -> None:
        before = sorted(midi_fixtures.parent.rglob("*"))
        contents = read(find(midi_fixtures / "zip_with_traversal.zip"))
        assert list(contents) == ["../../escape.mid", "a/one.mid"]
        assert all(isinstance(data, bytes) and data.startswith(b"MThd") for data in contents.values())
        assert sorted(midi_fixtures.parent.rglob("*")) == before

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    def test_methods(self, find: Find, pack: Pack, read: Read, tmp_path: Path, method: int) -> None:
        assert read(find(pack(tmp_path / "x.zip", SONGS, method=method))) == SONGS

    def test_a_method_that_is_not_supported(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.zip", {"1.mid": b"x", "2": b"MThd"}, method=zipfile.ZIP_LZMA)
        assert read(find(path)) == {"1.mid": ReadFailure("compression method 14 of .zip is not supported")}

    def test_streamed_with_sizes_after_the_data(self, find: Find, read: Read, tmp_path: Path) -> None:
        class Pipe(io.BytesIO):
            def seekable(self) -> bool:
                return False

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("1.mid", b"x" * 100)
        (tmp_path / "x.zip").write_bytes(pipe.getvalue())
        assert read(find(tmp_path / "x.zip")) == {"1.mid": b"x" * 100}

    def test_behind_a_program_that_unpacks_it(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.zip", SONGS)
        path.write_bytes(b"MZ" + bytes(5000) + path.read_bytes())
        assert read(find(path)) == SONGS

    def test_long_names(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        contents = {f"{'folder/' * 300}{number}.mid": os.urandom(500) for number in range(3)}
        assert read(find(pack(tmp_path / "x.zip", contents))) == contents

    def test_names_in_utf_8_that_do_not_say_so_and_in_code_page_437(
        self, find: Find, pack: Pack, tmp_path: Path
    ) -> None:
        path = pack(tmp_path / "x.zip", {"ca__.mid": b"1", "d_.mid": b"2"})
        path.write_bytes(path.read_bytes().replace(b"ca__", b"ca\xc3\xa9").replace(b"d_.mid", b"d\x82.mid"))
        assert find(path).files["path"].to_list() == ["caé.mid", "dé.mid"]

    def broken(self, pack: Pack, tmp_path: Path, change: Callable[[bytearray], None]) -> Path:
        """Two stored members; `change` breaks the second one, `2.mid`."""
        path = pack(tmp_path / "x.zip", {"1.mid": b"first", "2.mid": b"\xffecond"}, method=zipfile.ZIP_STORED)
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)
        return path

    @pytest.mark.parametrize(
        ("at", "value", "detail"),
        [
            (6, b"\1", "it is encrypted"),
            (0, b"XX", "the archive is damaged: there is no member where its directory says so"),
            (8, b"\x08", "it cannot be decompressed: error: Error -3 while decompressing data: "),
            (8, b"\x0c", "it cannot be decompressed: OSError: Invalid data stream"),
            (30 + 5, b"S", "its checksum (CRC-32) is wrong"),
        ],
    )
    def test_one_broken_member(
        self, find: Find, pack: Pack, read: Read, tmp_path: Path, at: int, value: bytes, detail: str
    ) -> None:
        def change(data: bytearray) -> None:
            start = data.index(b"PK\3\4", 4)
            data[start + at : start + at + len(value)] = value

        contents = read(find(self.broken(pack, tmp_path, change)))
        assert contents["1.mid"] == b"first"
        failure = contents["2.mid"]
        assert isinstance(failure, ReadFailure)
        assert failure.detail.startswith(detail)

    def test_a_bomb_gives_no_more_than_it_declares(self, find: Find, read: Read, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.mid", bytes(20_000_000))
        data = bytearray((tmp_path / "x.zip").read_bytes())
        size = data.index(b"PK\1\2") + 24
        data[size : size + 4] = struct.pack("<I", 100)
        (tmp_path / "x.zip").write_bytes(data)
        assert read(find(tmp_path / "x.zip")) == {"bomb.mid": ReadFailure("it is longer than listed (100 bytes)")}

    def test_cut_short(self, find: Find, lay_out: LayOut, pack: Pack) -> None:
        root = lay_out("1.mid")
        path = pack(root / "x.zip", SONGS)
        path.write_bytes(path.read_bytes()[:-30])
        assert problem(find(root)) == "it cannot be read as .zip: BadZipFile: File is not a zip file"


class TestTar:
    @pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_formats_and_long_names(self, find: Find, pack: Pack, read: Read, tmp_path: Path, kind: int) -> None:
        contents = {f"{'é' * 40}/{'x' * 60}/1.mid": b"1", f"./{'y/' * 60}2.mid": b"22"}
        found = read(find(pack(tmp_path / "x.tar", contents, format=kind)))
        assert found == {path.removeprefix("./"): data for path, data in contents.items()}

    @pytest.mark.parametrize("kind", ["x.tar", "x.tar.gz"])
    def test_links_inside_are_the_files_they_point_to(self, find: Find, read: Read, tmp_path: Path, kind: str) -> None:
        with tarfile.open(tmp_path / kind, "w:gz" if kind.endswith("gz") else "w") as archive:
            member = tarfile.TarInfo("./a/1.mid")
            member.size = 3
            archive.addfile(member, io.BytesIO(b"one"))
            for name, type_, target in [
                ("hard.mid", tarfile.LNKTYPE, "a/1.mid"),
                ("a/soft.mid", tarfile.SYMTYPE, "../a/./1.mid"),
                ("out.mid", tarfile.SYMTYPE, "/etc/passwd"),
                ("device.mid", tarfile.CHRTYPE, ""),
                ("folder.mid", tarfile.DIRTYPE, ""),
            ]:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = type_, target
                archive.addfile(link)
        found = find(tmp_path / kind)
        assert read(found) == {"a/1.mid": b"one", "a/soft.mid": b"one", "hard.mid": b"one"}
        assert found.ignored == {"music": {"(not a file)": 2}}

    def test_damaged_in_the_middle(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.tar", {"1.mid": b"1", "2.mid": b"2", "3.mid": b"3"})
        data = bytearray(path.read_bytes())
        data[1024:1034] = b"\xffdamaged\xff\xff"
        path.write_bytes(data)
        found = find(path)
        assert read(found) == {"1.mid": b"1"}
        assert problem(found) == "it is damaged at byte 1,024: what follows cannot be found"

    def test_cut_in_a_member(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.tar", {"1.mid": b"1", "2.mid": b"2" * 1000})
        path.write_bytes(path.read_bytes()[: 1024 + 512 + 600])
        found = find(path)
        assert read(found) == {"1.mid": b"1", "2.mid": ReadFailure("it is cut short: 600 of 1,000 bytes read")}
        assert problem(found).startswith("it cannot be read as .tar after '2.mid': ReadError: unexpected end of data")

    def test_cut_between_members(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.tar", {"1.mid": b"1", "2.mid": b"2"})
        path.write_bytes(path.read_bytes()[:1024])
        found = find(path)
        assert read(found) == {"1.mid": b"1"}
        assert problem(found) == "it ends without an end mark: members may be missing"

    def test_a_header_that_leads_back(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.tar", {"1.mid": b"1", "2.mid": b"2"})
        data = bytearray(path.read_bytes())
        member = tarfile.TarInfo("2.mid")
        member.size = -1024
        data[1024:1536] = member.tobuf(format=tarfile.GNU_FORMAT)
        path.write_bytes(data)
        found = find(path)
        assert read(found) == {"1.mid": b"1"}
        assert problem(found).startswith("it cannot be read as .tar after '1.mid'")

    def test_a_size_beyond_all_measure(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.tar", {"1.mid": b"1", "2.mid": b"2"})
        data = bytearray(path.read_bytes())
        member = tarfile.TarInfo("2.mid")
        member.size = 2**70
        data[1024:1536] = member.tobuf(format=tarfile.GNU_FORMAT)
        path.write_bytes(data)
        found = read(find(path))
        assert found["1.mid"] == b"1"
        assert isinstance(found["2.mid"], ReadFailure)
        assert found["2.mid"].too_large


class TestTarGz:
    def test_members_far_apart_in_any_order(self, find: Find, pack: Pack, tmp_path: Path) -> None:
        chance = random.Random(1)
        contents = {f"{number}.mid": chance.randbytes(200_000) for number in range(40)}
        files = find(pack(tmp_path / "x.tar.gz", contents, compresslevel=1)).files.sample(
            fraction=1, shuffle=True, seed=1
        )
        read = dict(zip(files["path"], read_files(file_refs(files), 10**6), strict=True))
        assert read == contents

    def test_a_second_search_takes_what_the_first_wrote(
        self, find: Find, pack: Pack, read: Read, tmp_path: Path
    ) -> None:
        path = pack(tmp_path / "x.tar.gz", SONGS)
        first = find(path)
        written = {file: file.stat().st_mtime_ns for file in (tmp_path / "index").iterdir()}
        assert len(written) == 2
        second = find(path)
        assert second.files.equals(first.files)
        assert {file: file.stat().st_mtime_ns for file in (tmp_path / "index").iterdir()} == written
        os.utime(path, (1, 1))
        pack(path, {"new.mid": b"new"})
        assert read(find(path)) == {"new.mid": b"new"}

    def test_without_the_index_or_with_a_broken_one(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        found = find(pack(tmp_path / "x.tar.gz", SONGS))
        (index,) = (tmp_path / "index").glob("*.gzidx")
        index.write_bytes(b"GZIDX broken")
        assert read(found) == SONGS
        index.unlink()
        assert read(found) == SONGS

    def test_several_streams_one_after_the_other(self, find: Find, read: Read, tmp_path: Path) -> None:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as archive:
            for name, data in SONGS.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        data = plain.getvalue()
        (tmp_path / "x.tgz").write_bytes(gzip.compress(data[:700]) + gzip.compress(data[700:]))
        assert read(find(tmp_path / "x.tgz")) == SONGS

    def noise(self, pack: Pack, tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
        chance = random.Random(2)
        contents = {f"{number:02}.mid": bytes(chance.choices(b"MThdrk", k=100_000)) for number in range(30)}
        return pack(tmp_path / "x.tar.gz", contents), contents

    def test_corrupt_in_the_middle(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path, contents = self.noise(pack, tmp_path)
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 5000] = b"\xff" * 5000
        path.write_bytes(data)
        found = find(path)
        good = {name: data for name, data in read(found).items() if data == contents[name]}
        assert 10 <= len(good) <= 16
        assert list(good) == [f"{number:02}.mid" for number in range(len(good))]
        assert problem(found).startswith("it is damaged at byte 1,")

    def test_cut_short(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path, contents = self.noise(pack, tmp_path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        found = find(path)
        good = {name: data for name, data in read(found).items() if data == contents[name]}
        assert 10 <= len(good) <= 16
        assert problem(found) == "it cannot be read as .tar after '14.mid': ReadError: unexpected end of data"

    def test_a_wrong_checksum(self, find: Find, pack: Pack, read: Read, tmp_path: Path) -> None:
        path = pack(tmp_path / "x.tar.gz", SONGS)
        data = bytearray(path.read_bytes())
        data[-8] ^= 1
        path.write_bytes(data)
        found = find(path)
        assert read(found) == SONGS
        assert problem(found) == "its checksum (CRC-32) is wrong: members may be damaged"


def packed(kind: str, contents: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    if kind == ".zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=out, mode="w:gz" if kind.endswith("gz") else "w") as tar:
            for name, data in contents.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


WHOLE = {kind: packed(kind, SONGS | {"no suffix": b"MThd\0\0\0\6"}) for kind in (".zip", ".tar", ".tar.gz")}
EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(list(WHOLE)), EDITS, st.none() | st.integers(0, 10**6))
def test_any_damage_is_told_and_nothing_else_happens(
    kind: str, edits: list[tuple[int, bytes]], cut: int | None
) -> None:
    data = bytearray(WHOLE[kind])
    for at, new in edits:
        at %= len(data)
        data[at : at + len(new)] = new
    if cut is not None:
        del data[cut % len(data) :]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"x{kind}").write_bytes(data)
        collection = Collection(name="x", location=f"{folder}/x{kind}")
        try:
            listing = list_files([collection], index_folder=Path(folder) / "index")
        except UserError:  # nothing is left of it
            return
        for size, content in zip(listing.files["size"], read_files(file_refs(listing.files), 20_000), strict=True):
            assert isinstance(content, ReadFailure) or len(content) == size
