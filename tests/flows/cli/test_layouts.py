"""`musenet layouts`: a page of what sparse attention sees, and for every mistake one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.cli import musenet

Command = Callable[..., Result]


@pytest.fixture
def layouts() -> Command:
    """Runs `musenet layouts …`; words may be paths."""
    return lambda *words: CliRunner().invoke(musenet, ["layouts", *map(str, words)])


def mistake(result: Result) -> str:
    """The one line of an error that a user can mend."""
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    return line.removeprefix("musenet: ")


def test_every_mode(layouts: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = layouts()
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "layouts.html: 9 layouts\n"
    page = (tmp_path / "layouts.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "over 1,024 positions" in page


def test_a_preset(layouts: Command, tmp_path: Path) -> None:
    out = tmp_path / "new" / "page.html"
    changes = ("--set", "model.sparsity.mode=fixed", "--set", "model.sparsity.block=128")
    assert layouts("--preset", "musenet", *changes, "--length", 2048, out).exit_code == 0
    page = out.read_text()
    assert "layers 1, 3, 5, … 71" in page
    assert "over 2,048 positions. The model's context is 4,096." in page


def test_settings_alone_change_the_smallest_preset(layouts: Command, tmp_path: Path) -> None:
    assert layouts("--set", "model.sparsity.mode=bigbird", tmp_path / "page.html").exit_code == 0
    assert "<title>Attention layouts of tiny</title>" in (tmp_path / "page.html").read_text()


def test_mistakes(layouts: Command, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert mistake(layouts("--preset", "abc", out)).startswith("no preset 'abc'; there are: sketch, tiny, ")
    assert mistake(layouts("--set", "model.sparsity.blok=1", out)) == (
        "no setting 'model.sparsity.blok'; nearest: 'model.sparsity.block'"
    )
    assert mistake(layouts("--set", "model.sparsity.mode=round", out)).startswith("model.sparsity.mode = 'round': ")
    assert not out.exists()
    assert mistake(layouts(tmp_path)) == f"{tmp_path} cannot be written: Is a directory"
