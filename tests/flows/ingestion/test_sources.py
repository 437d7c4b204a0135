"""Sources: which files are taken, how they are named and labelled, and what is refused in plain words."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from flows.errors import UserError
from flows.ingestion.sources import Collection, SourceFile, file_sha256, list_files


def lay_out(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return root


def taken(root: Path, **about: str) -> dict[str, str | None]:
    """Style by path."""
    return {file.path: file.style for file in list_files([Collection(name="music", path=root, **about)])}


class TestWhatIsTaken:
    def test_midi_files_at_any_depth_in_order(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "b.mid", "a/2.midi", "a/deep/1.KAR", "c.rmi", "d.SMF", "notes.txt", "a/cover.png", "mid")
        assert list(taken(tmp_path)) == ["a/2.midi", "a/deep/1.KAR", "b.mid", "c.rmi", "d.SMF"]

    def test_a_folder_with_a_files_suffix_is_a_folder(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "album.mid/song.mid")
        assert list(taken(tmp_path)) == ["album.mid/song.mid"]

    def test_a_file_that_is_named_itself_whatever_its_suffix(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "jazz/song", "jazz/other.mid")
        assert taken(tmp_path / "jazz" / "song") == {"song": "jazz"}

    def test_what_is_known_of_a_file(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "bach/fugue.mid")
        collection = Collection(name="chorales", path=tmp_path, licence="CC0")
        assert list_files([collection]) == [
            SourceFile(tmp_path / "bach" / "fugue.mid", "bach/fugue.mid", "chorales", "CC0", "bach", 14)
        ]

    def test_a_name_that_is_not_utf_8_becomes_text(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"caf\xe9.mid")).write_bytes(b"")
        (file,) = list_files([Collection(name="old", path=tmp_path)])
        assert file.path == "caf\\xe9.mid"
        assert file_sha256(file.location) is not None

    def test_collections_one_after_the_other(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "z/1.mid", "a/2.mid")
        collections = [Collection(name=name, path=tmp_path / name) for name in "za"]
        assert [(file.collection, file.path) for file in list_files(collections)] == [("z", "1.mid"), ("a", "2.mid")]


class TestStyle:
    def test_of_the_first_folder_below(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "Folk Rock/live/1.mid", "J.S. Bach/2.mid")
        assert taken(tmp_path) == {"Folk Rock/live/1.mid": "folk_rock", "J.S. Bach/2.mid": "j_s_bach"}

    def test_else_of_the_folder_itself(self, tmp_path: Path) -> None:
        lay_out(tmp_path / "Ragtime", "1.mid")
        assert taken(tmp_path / "Ragtime") == {"1.mid": "ragtime"}

    def test_one_for_all_when_given(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "rock/1.mid", "2.mid")
        assert set(taken(tmp_path, style="Video Game").values()) == {"video_game"}

    def test_none_where_no_letter_is_left(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "音楽/1.mid")
        assert taken(tmp_path) == {"音楽/1.mid": None}


class TestRefused:
    def test_a_path_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"nowhere does not exist; name a folder or a MIDI file"):
            taken(tmp_path / "nowhere")

    def test_a_folder_without_midi_files(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "readme.txt")
        with pytest.raises(UserError, match=r"holds no MIDI file \(looked for \.kar, \.mid, "):
            taken(tmp_path)

    def test_two_collections_of_one_name(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "1.mid")
        with pytest.raises(UserError, match="two collections are named 'same'"):
            list_files([Collection(name="same", path=tmp_path)] * 2)


def test_a_file_is_known_by_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "1.mid").write_bytes(b"MThd")
    assert file_sha256(tmp_path / "1.mid") == hashlib.sha256(b"MThd").hexdigest()
    assert file_sha256(tmp_path / "vanished.mid") is None
