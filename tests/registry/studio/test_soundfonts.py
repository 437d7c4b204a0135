"""The soundfont of the page is the one that is named, else one that is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from registry import soundfonts
from registry.soundfonts import VARIABLE
from registry.studio import soundfonts as of_the_page
from registry.studio.soundfonts import find_soundfont

HEAD = b"RIFF\x04\x00\x00\x00sfbk"


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(soundfonts, "PLACES", ())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_there_may_be_none() -> None:
    assert find_soundfont() is None


def test_the_named_one_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, installed = tmp_path / "mine.sf2", tmp_path / "installed.sf3"
    for file in (named, installed):
        file.write_bytes(HEAD)
    monkeypatch.setattr(soundfonts, "PLACES", ((str(installed), "MIT"),))
    found = find_soundfont()
    assert found is not None
    assert (found.path, found.licence) == (installed, "MIT")
    monkeypatch.setenv(VARIABLE, str(named))
    found = find_soundfont()
    assert found is not None
    assert found.path == named


@pytest.mark.parametrize("content", [b"", b"RIFF\x04\x00\x00\x00WAVE", b"MThd"])
def test_other_files_are_none(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "font.sf2").write_bytes(content)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "font.sf2"))
    assert find_soundfont() is None


def test_one_too_large_for_a_browser_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "font.sf2").write_bytes(HEAD)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "font.sf2"))
    monkeypatch.setattr(of_the_page, "LARGEST", len(HEAD) - 1)
    assert find_soundfont() is None
