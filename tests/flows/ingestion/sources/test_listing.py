"""Listing: which files are taken, how they are named, and what is refused in plain words."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flows.ingestion.sources import Collection, Listing, ReadFailure, in_reading_order, list_files
from infra.errors import UserError

Find = Callable[..., Listing]
LayOut = Callable[..., Path]
Pack = Callable[..., Path]
Read = Callable[[Listing], dict[str, bytes | ReadFailure]]

MIDI = b"MThd\0\0\0\6\0\0\0\1\0\x60"
RMID = b"RIFF\x20\0\0\0RMIDdata"


def paths(listing: Listing) -> list[str]:
    return listing.files["path"].to_list()


class TestWhatIsTaken:
    def test_midi_files_at_any_depth_in_order(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out(
            "b.mid", "a/2.midi", "a/deep/1.KAR", "c.rmi", "d.SMF", "notes.txt", "a/cover.PNG", "a.txt", "mid"
        )
        found = find(root)
        assert paths(found) == ["a/2.midi", "a/deep/1.KAR", "b.mid", "c.rmi", "d.SMF"]
        assert found.ignored == {"music": {"": 1, ".png": 1, ".txt": 2}}

    def test_files_without_a_suffix_that_begin_like_midi(self, find: Find, lay_out: LayOut) -> None:
        contents = {
            "song": MIDI,
            "ring.tone/riff": RMID,
            "README": b"MTh",
            "empty": b"",
            "Op. 3 No. 2": MIDI,
            "x.bin": MIDI,
        }
        assert paths(find(lay_out(contents=contents))) == ["Op. 3 No. 2", "ring.tone/riff", "song"]

    def test_a_folder_with_a_files_suffix_is_a_folder(self, find: Find, lay_out: LayOut) -> None:
        assert paths(find(lay_out("album.mid/song.mid"))) == ["album.mid/song.mid"]

    def test_a_file_that_is_named_itself_whatever_its_suffix(self, find: Find, lay_out: LayOut) -> None:
        found = find(lay_out("jazz/song.txt", "jazz/other.mid") / "jazz" / "song.txt")
        assert found.files.select("path", "style").rows() == [("song.txt", "jazz")]

    def test_what_other_systems_left_there(self, find: Find, lay_out: LayOut) -> None:
        """They are files, and their fate is told in the manifest."""
        assert paths(find(lay_out("._x.mid", "__MACOSX/x.mid"))) == ["._x.mid", "__MACOSX/x.mid"]

    def test_what_is_known_of_a_file(self, find: Find, lay_out: LayOut, read: Read) -> None:
        found = find(lay_out("bach/fugue.mid"), licence="CC0")
        (row,) = found.files.drop("file_ref").to_dicts()
        assert row == {
            "collection": "music",
            "path": "bach/fugue.mid",
            "licence": "CC0-1.0",
            "stated_licence": "CC0",
            "style": "bach",
            "size": 14,
            "version": None,
        }
        assert read(found) == {"bach/fugue.mid": b"bach/fugue.mid"}

    def test_collections_one_after_the_other(self, lay_out: LayOut, tmp_path: Path) -> None:
        root = lay_out("z/1.mid", "z/0.txt", "a/2.mid")
        listing = list_files([Collection(name=name, location=root / name) for name in "za"], index_folder=tmp_path)
        assert listing.files.select("collection", "path").rows() == [("z", "1.mid"), ("a", "2.mid")]
        assert listing.ignored == {"z": {".txt": 1}, "a": {}}

    def test_nothing_of_nothing(self, tmp_path: Path) -> None:
        assert list_files([], index_folder=tmp_path).files.is_empty()


class TestIncludeAndExclude:
    def test_other_suffixes(self, find: Find, lay_out: LayOut) -> None:
        found = find(lay_out("a.seq", "b.mid", "c", "deep/D.SEQ"), include=["*.seq"])
        assert paths(found) == ["a.seq", "deep/D.SEQ"]
        assert found.ignored == {"music": {"": 1, ".mid": 1}}

    def test_some_folders(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out(
            "rock/1.mid", "rock/live/2.mid", "pop/3.mid", "pop/4_old.mid", "drafts/5.mid", "pop/drafts/6.mid"
        )
        assert paths(find(root, include=["rock/**"])) == ["rock/1.mid", "rock/live/2.mid"]
        assert paths(find(root, exclude=["drafts", "*_old.mid", "rock/live"])) == ["pop/3.mid", "rock/1.mid"]

    def test_an_archive_can_be_left_out_by_its_name(self, find: Find, lay_out: LayOut, pack: Pack) -> None:
        root = lay_out("1.mid")
        pack(root / "more.zip", {"2.mid": b"2"})
        assert paths(find(root, exclude=["*.zip"])) == ["1.mid"]


class TestTheLake:
    def test_what_the_platform_wrote_is_left_out(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out("1.mid", "lake/samples/2.mid")
        assert paths(find(root)) == ["1.mid", "lake/samples/2.mid"]
        assert paths(find(root, lake=root / "lake")) == ["1.mid"]
        assert paths(find(root, lake=str(root / "not there"))) == ["1.mid", "lake/samples/2.mid"]

    def test_a_folder_in_the_lake_may_be_asked_for(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out("lake/samples/2.mid")
        assert paths(find(root / "lake" / "samples", lake=root / "lake")) == ["2.mid"]


class TestOddNames:
    def test_a_name_that_is_not_utf_8_becomes_text(self, find: Find, lay_out: LayOut, read: Read) -> None:
        root = lay_out(os.fsdecode(b"caf\xe9/1.mid"), contents={"a\n\x1b[31mb.mid": b"red", "ü.mid": b"u"})
        assert read(find(root)) == {
            r"a\x0a\x1b[31mb.mid": b"red",
            r"caf\xe9/1.mid": b"caf\xe9/1.mid",
            "ü.mid": b"u",
        }

    def test_two_that_look_the_same_are_numbered(self, find: Find, lay_out: LayOut, read: Read) -> None:
        root = lay_out(contents={r"\x0a.mid": b"backslash", "\n.mid": b"line"})
        assert read(find(root)) == {r"\x0a.mid": b"line", r"\x0a.mid [2]": b"backslash"}

    def test_a_root_that_is_not_utf_8(self, find: Find, lay_out: LayOut, pack: Pack, read: Read) -> None:
        root = lay_out("1.mid")
        pack(root / os.fsdecode(b"caf\xe9.tar"), {"2.mid": b"two"})
        assert read(find(root)) == {"1.mid": b"1.mid", r"caf\xe9.tar/2.mid": b"two"}


class TestLinks:
    def test_to_files_and_folders_are_followed(self, find: Find, lay_out: LayOut, read: Read) -> None:
        root, other = lay_out("1.mid"), lay_out("2.mid", name="other")
        (root / "folder").symlink_to(other)
        (root / "file.mid").symlink_to(other / "2.mid")
        assert read(find(root)) == {"1.mid": b"1.mid", "file.mid": b"2.mid", "folder/2.mid": b"2.mid"}

    def test_that_lead_in_circles(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out("a/1.mid", "b/2.mid")
        (root / "a" / "up").symlink_to(root)
        (root / "a" / "b").symlink_to(root / "b")
        (root / "b" / "a").symlink_to(root / "a")
        (root / "self").symlink_to("self")
        assert paths(find(root)) == ["a/1.mid", "b/2.mid"]

    def test_to_nothing_are_files_that_cannot_be_read(self, find: Find, lay_out: LayOut, read: Read) -> None:
        root = lay_out("1.mid")
        (root / "gone.mid").symlink_to("nowhere")
        assert read(find(root))["gone.mid"] == ReadFailure("No such file or directory")

    def test_what_is_no_file_is_not_touched(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out("1.mid")
        os.mkfifo(root / "pipe.mid")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(root / "s.mid"))
            found = find(root)
        assert paths(found) == ["1.mid"]
        assert found.ignored == {"music": {"(not a file)": 2}}


class TestReadingOrder:
    def test_members_stand_as_they_lie(self, find: Find, lay_out: LayOut, pack: Pack) -> None:
        root = lay_out("z.mid")
        pack(root / "a.tar", {"3.mid": b"3", "1.mid": b"1", "2.mid": b"2"})
        files = find(root).files
        assert files["path"].to_list() == ["a.tar/1.mid", "a.tar/2.mid", "a.tar/3.mid", "z.mid"]
        assert in_reading_order(files)["path"].to_list() == ["z.mid", "a.tar/3.mid", "a.tar/1.mid", "a.tar/2.mid"]

    def test_plain_files_stay_as_they_are(self, find: Find, lay_out: LayOut) -> None:
        files = find(lay_out("1.mid", "2.mid")).files
        assert in_reading_order(files).equals(files)
        assert in_reading_order(files.clear()).is_empty()


class TestRefused:
    def test_a_path_that_does_not_exist(self, find: Find, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"nowhere does not exist; name a folder, an archive or a MIDI file"):
            find(tmp_path / "nowhere")

    def test_a_folder_without_midi_files(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out("readme.txt", "2.txt", "3.png")
        with pytest.raises(
            UserError, match=r"holds no MIDI file \(looked for \.kar, \.mid, .*; there are: 2 \.txt, 1 \.png"
        ):
            find(root)
        with pytest.raises(UserError, match=r"holds no MIDI file \(looked for \*\.seq\)"):
            find(root, include=["*.seq"])

    def test_an_empty_folder(self, find: Find, lay_out: LayOut) -> None:
        with pytest.raises(UserError, match=r"holds no MIDI file"):
            find(lay_out())

    def test_a_broken_archive_and_nothing_else(self, find: Find, lay_out: LayOut) -> None:
        root = lay_out("broken.zip")
        with pytest.raises(
            UserError, match=r"holds no MIDI file .*; broken\.zip: it cannot be read as \.zip: BadZipFile"
        ):
            find(root / "broken.zip")

    def test_what_is_neither_folder_nor_file(self, find: Find) -> None:
        with pytest.raises(UserError, match=r"/dev/null is neither a folder nor a file"):
            find("/dev/null")

    def test_two_collections_of_one_name(self, lay_out: LayOut, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="two collections are named 'same'"):
            list_files([Collection(name="same", location=lay_out("1.mid"))] * 2, index_folder=tmp_path)


def test_a_folder_that_may_not_be_read_is_a_problem(find: Find, lay_out: LayOut) -> None:
    root = lay_out("1.mid", "secret/2.mid")
    long = root
    for _ in range(40):  # a path longer than the system takes, which root cannot read either
        long = long / ("x" * 200)
    make_deep(long, root)
    found = find(root)
    assert paths(found) == ["1.mid", "secret/2.mid"]
    ((collection, _, detail),) = found.problems.select("collection", "size", "detail").rows()
    assert (collection, detail) == ("music", "the folder cannot be read: File name too long")


def make_deep(folder: Path, root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for part in folder.relative_to(root).parts:
        os.mkdir(part, dir_fd=here)
        inner = os.open(part, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_the_table_has_one_shape_whatever_is_in_it(find: Find, lay_out: LayOut, pack: Pack, tmp_path: Path) -> None:
    plain = find(lay_out("1.mid")).files
    packed = find(pack(tmp_path / "x.tar.gz", {"1.mid": b"1"})).files
    assert pl.concat([plain, packed, list_files([], index_folder=tmp_path).files])["path"].to_list() == ["1.mid"] * 2
