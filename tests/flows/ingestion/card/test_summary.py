"""The version in Markdown: Prefect's artifact and what the terminal shows."""

from __future__ import annotations

from typing import Any

import pytest

from flows.ingestion.card import gates_markdown, markdown
from flows.ingestion.card.summary import escaped
from tokenization.dataset.description import GateResult

HOSTILE = "<script>alert(1)</script>|[a](https://example.org)"


def lines_of(staged: Any) -> list[str]:
    return markdown(staged.with_description(digest="ab" * 16)).splitlines()


def test_it_says_what_the_version_holds(staged: Any) -> None:
    lines = lines_of(staged)
    assert lines[0] == "# Dataset songs"
    headings = (
        "The outcome of every file",
        "Collections",
        "Splits",
        "Styles",
        "Rules for publishing",
        "Repaired files",
    )
    for heading in headings:
        assert f"## {heading}" in lines
    assert any(line.startswith("| quarantined | not_midi | 1 |") for line in lines)
    assert any(line.startswith("| **all files found** |  | **17** |") for line in lines)
    assert any(line.startswith("| train | 10 |") for line in lines)
    assert any(
        line.startswith("Families of files with the same or related music: 1, with 3 files, 3 in") for line in lines
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


def test_a_refused_version_shows_every_rule_with_its_outcome() -> None:
    few = GateResult(rule="min_pieces", value=0, limit=1, unit="pieces", outcome="broken", detail=HOSTILE)
    drop = GateResult(rule="max_hours_drop", value=0.25, limit=0.5, unit="share", outcome="passed", detail="")
    lines = gates_markdown("songs", [few, drop]).splitlines()
    assert lines[0] == "# Dataset songs"
    assert lines[2] == "Not published: 1 of 2 rules for publishing broken."
    assert lines[6].startswith("| min_pieces | 0 pieces | 1 piece | broken | &lt;script>alert")
    assert lines[7] == "| max_hours_drop | 25 % | 50 % | passed |  |"


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
