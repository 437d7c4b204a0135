"""`musenet judge`: what is no music and what is no model is said in a line. `docs/guides` runs it on a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Command = Callable[..., Result]


def test_a_folder_without_music_is_said_so(command: Command, mistake: Callable[[Result], str], tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    assert mistake(command("judge", tmp_path / "songs")) == f"{tmp_path / 'songs'} has no MIDI file"


def test_a_file_that_is_not_there_is_named(command: Command, mistake: Callable[[Result], str], tmp_path: Path) -> None:
    assert mistake(command("judge", tmp_path / "a.mid")).startswith(f"{tmp_path / 'a.mid'} cannot be read")


def test_a_lake_without_a_model_is_said_so(
    command: Command, mistake: Callable[[Result], str], tmp_path: Path, song: Callable[[int], bytes]
) -> None:
    (tmp_path / "a.mid").write_bytes(song(1))
    assert mistake(command("judge", tmp_path / "a.mid")).startswith("no model 'champion'")


def test_where_no_file_can_be_used_each_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"MThd")
    result = command("judge", tmp_path / "a.mid")
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{tmp_path / 'a.mid'} cannot be used: ")
    assert second == "musenet: there is no file to judge"
