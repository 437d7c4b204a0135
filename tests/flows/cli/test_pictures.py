"""`musenet roll`: a picture of a MIDI file, and for every mistake one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from flows.cli import musenet

Command = Callable[..., Result]


@pytest.fixture
def roll() -> Command:
    """Runs `musenet roll …`; words may be paths."""
    return lambda *words: CliRunner().invoke(musenet, ["roll", *map(str, words)])


@pytest.fixture
def song(midi_fixtures: Path) -> Path:
    return midi_fixtures / "ok_type1_drums.mid"


def mistake(result: Result) -> str:
    """The one line of an error that a user can mend."""
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    return line.removeprefix("musenet: ")


def test_png(roll: Command, song: Path, tmp_path: Path) -> None:
    result = roll(song, tmp_path / "new folder" / "roll.PNG")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{tmp_path / 'new folder' / 'roll.PNG'}: 16 notes, 2.0 s\n"
    with Image.open(tmp_path / "new folder" / "roll.PNG") as picture:
        picture.load()
        assert picture.format == "PNG"
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["roll.PNG"]


def test_svg(roll: Command, song: Path, tmp_path: Path) -> None:
    assert roll(song, tmp_path / "roll.svg").exit_code == 0
    assert ElementTree.parse(tmp_path / "roll.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_same_file_gives_the_same_picture(roll: Command, song: Path, tmp_path: Path) -> None:
    for suffix in ("png", "svg"):
        for name in ("a", "b"):
            assert roll(song, tmp_path / f"{name}.{suffix}", "--title", "twice").exit_code == 0
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_title_and_vocabulary_change_the_picture(roll: Command, midi_fixtures: Path, tmp_path: Path) -> None:
    song = midi_fixtures / "channel_program_switch.mid"
    options = ((), ("--title", "A song"), ("--vocabulary", "general_midi"))
    for number, words in enumerate(options):
        assert roll(song, tmp_path / f"{number}.svg", *words).exit_code == 0
    assert len({(tmp_path / f"{number}.svg").read_bytes() for number in range(len(options))}) == len(options)
    assert "<!-- A song -->" in (tmp_path / "1.svg").read_text()


@pytest.mark.parametrize("name", ["roll.pdf", "roll", "png"])
def test_another_suffix(name: str, roll: Command, song: Path, tmp_path: Path) -> None:
    assert mistake(roll(song, tmp_path / name)) == (
        f"{tmp_path / name} cannot be drawn: its name must end in .png or .svg"
    )


def test_a_file_that_is_no_music(roll: Command, midi_fixtures: Path, tmp_path: Path) -> None:
    out = tmp_path / "roll.png"
    assert mistake(roll(midi_fixtures / "html_404.mid", out)).startswith("not_midi: ")
    assert mistake(roll(midi_fixtures / "only_header.mid", out)).startswith("no_notes: ")
    assert mistake(roll(tmp_path / "nowhere.mid", out)).endswith("cannot be read: No such file or directory")
    assert not out.exists()


def test_a_place_that_cannot_be_written(roll: Command, song: Path, tmp_path: Path) -> None:
    (tmp_path / "roll.png").mkdir()
    assert mistake(roll(song, tmp_path / "roll.png")).endswith("roll.png cannot be written: Is a directory")
    (tmp_path / "file").touch()
    assert "roll.png cannot be written: " in mistake(roll(song, tmp_path / "file" / "roll.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "roll.png"]


def test_an_unknown_vocabulary(roll: Command, song: Path, tmp_path: Path) -> None:
    assert mistake(roll(song, tmp_path / "roll.png", "--vocabulary", "abc")).startswith("no vocabulary 'abc'; ")
