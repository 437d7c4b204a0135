"""The version in Markdown: Prefect's artifact and what the terminal shows."""

from __future__ import annotations

from typing import Any

import pytest

from flows.ingestion.card import markdown
from flows.ingestion.card.summary import escaped


def lines_of(staged: Any) -> list[str]:
    return markdown(staged.with_description(digest="ab" * 16)).splitlines()


def test_it_says_what_the_version_holds(staged: Any) -> None:
    lines = lines_of(staged)
    assert lines[0] == "# Dataset songs"
    for heading in ("The outcome of every file", "Collections", "Splits", "Styles", "Repaired files"):
        assert f"## {heading}" in lines
    assert any(line.startswith("| quarantined | not_midi | 1 |") for line in lines)
    assert any(line.startswith("| **all files found** |  | **17** |") for line in lines)
    assert any(line.startswith("| train | 10 |") for line in lines)
    assert any(
        line.startswith("Families of files that are equal or nearly so: 1, with 3 files, 3 in") for line in lines
    )


def test_hostile_names_stay_in_their_cells(staged: Any) -> None:
    lines = lines_of(staged)
    widths: dict[str, int] = {}
    heading = ""
    for line in lines:
        heading = line if line.startswith("## ") else heading
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            assert widths.setdefault(heading, cells) == cells
    assert not any("<script" in line for line in lines)
    assert not any("](" in line.replace("\\](", "") for line in lines)


def test_a_version_without_pieces(empty: Any) -> None:
    assert any(line.startswith("| quarantined | not_midi | 1 |") for line in lines_of(empty))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("near_duplicate", "near_duplicate"),
        ("_a_", r"\_a\_"),
        ("a|b", r"a\|b"),
        ("*a* `b`", r"\*a\* \`b\`"),
        ("<b>&", "&lt;b>&amp;"),
        ("[a](b)", r"\[a\](b)"),
        ("http://a", r"http:\//a"),
        ("a\nb", r"a\\u000ab"),
        ("Prélude nº 1.mid", "Prélude nº 1.mid"),
    ],
)
def test_escapes(text: str, expected: str) -> None:
    assert escaped(text) == expected
