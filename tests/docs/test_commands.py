"""The commands that README.md and the documentation show are run as they are written, on small presets."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from code_blocks import PAGES, blocks_of
from reader import Reader

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STANDALONE = ("docs/encodings.md",)
"""Pages whose commands need no model and no dataset."""


def pages_with(language: str) -> list[ParameterSet]:
    """The pages with commands to run. README.md goes the way of the demo, which `tests/flows/demo` runs, once more, and
    the guides follow it: they take minutes, and are left to `make thorough`."""
    pages = [page for page in PAGES if any(b.language == language and b.reason is None for b in blocks_of(page))]
    thorough = (pytest.mark.thorough,)
    return [pytest.param(page, marks=() if page in STANDALONE else thorough) for page in pages]


@pytest.fixture
def follower(page: str, reader: Reader, request: pytest.FixtureRequest) -> Reader:
    """The reader, who has followed README.md before all pages but those that need nothing of it."""
    if page not in STANDALONE:
        request.getfixturevalue("served")
        reader.follow("README.md", "sh")
    return reader


@pytest.mark.parametrize("page", pages_with("sh"))
def test_the_commands_of_a_page(page: str, follower: Reader) -> None:
    follower.follow(page, "sh")
    if page == "docs/quickstart.md":  # which says what lies where
        assert {path.suffix for path in Path("songs").iterdir()} == {".mid", ".txt", ".png", ".json"}


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_snippets_of_a_page(page: str, follower: Reader) -> None:
    before = trained()
    follower.follow(page, "python")
    if page == "README.md":  # whose commands have trained and criticised the same
        assert trained() == before


def trained() -> dict[Path, int]:
    """The weights of models and critics of all runs, with the time at which they were written."""
    files = Path("lake/runs").rglob("*.safetensors")
    return {file: file.stat().st_mtime_ns for file in files if file.parts[3] in ("model", "critic")}
