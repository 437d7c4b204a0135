"""The page: it says what the manifest says, escapes what others wrote, and needs nothing but itself."""

from __future__ import annotations

import contextlib
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.ingestion.card import write_card
from flows.ingestion.card.page import page


class Reader(HTMLParser):
    """Tables as lists of lines, tags and attributes as they come, whether tags nest."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cell = False
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        match tag:
            case "table":
                self.tables.append([])
            case "tr":
                self.tables[-1].append([])
            case "td" | "th":
                self.tables[-1][-1].append("")
                self.cell = True

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def text(staged: Any) -> str:
    return page(staged.version, staged.manifest)


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    return Reader(text)


def table(read: Reader, *headings: str) -> list[list[str]]:
    """The lines of the table that begins with these headings."""
    return next(found[1:] for found in read.tables if tuple(found[0][: len(headings)]) == headings)


def number(text: str) -> int:
    return int(text.replace(",", ""))


class TestItSays:
    def test_what_it_is_about_first(self, text: str) -> None:
        assert text.index("<h1>songs<span>@0123456789ab</span></h1>") < text.index("22 November 2026, 20:46 UTC")
        for count, what in ((14, "pieces"), (560, "notes"), (3, "styles")):
            assert f"<dt>{what}</dt><dd>{count:,}</dd>" in text

    def test_the_outcome_of_every_file(self, read: Reader, staged: Any) -> None:
        *lines, total = table(read, "outcome", "reason", "files")
        found = {(line[0], line[1]): number(line[2]) for line in lines}
        assert found == {
            ("accepted", ""): 14,
            ("duplicate", "near_duplicate"): 1,
            ("duplicate", "same_bytes"): 1,
            ("quarantined", "not_midi"): 1,
        }
        assert number(total[2]) == sum(found.values()) == len(staged.manifest)

    def test_collections_with_their_licences(self, read: Reader, staged: Any) -> None:
        *lines, total = table(read, "collection", "licence")
        assert [number(line[2]) for line in lines] == [7, 10]
        assert number(total[2]) == len(staged.manifest)
        for column in range(2, 7):
            assert sum(number(line[column]) for line in lines) == number(total[column])

    def test_styles_in_every_split(self, read: Reader, staged: Any) -> None:
        *lines, total = table(read, "style", "pieces")
        assert {line[0]: number(line[1]) for line in lines} == {"(none)": 5, "bach": 5, "jazz": 4}
        for line in lines:
            assert sum(map(number, line[4:])) == number(line[1])
        assert list(map(number, total[4:])) == list(staged.description.pieces.values())

    def test_splits_with_their_rows_and_tokens(self, read: Reader, staged: Any) -> None:
        *lines, total = table(read, "split", "pieces")
        about = staged.description
        assert (
            {line[0]: number(line[6]) for line in lines} == about.variants == {"train": 20, "validation": 2, "test": 2}
        )
        assert {line[0]: number(line[7]) for line in lines} == about.tokens
        assert number(total[7]) == sum(about.tokens.values())

    def test_the_rules_that_it_was_published_under(self, read: Reader) -> None:
        few, drop = table(read, "rule", "value")
        assert few[:4] == ["min_pieces", "14 pieces", "1 piece", "passed"]
        assert drop == ["max_hours_drop", "75 %", "50 %", "accepted", ""]

    def test_families(self, read: Reader, text: str) -> None:
        assert "the same or related music: 1, with 3 files, 3 in the largest" in text
        assert "Of 1 link 1 is weak (evidence × similarity below 3). Look at them with `musenet families`." in text
        (line,) = table(read, "preferred file")
        assert line == ["piece 0.mid", "plain", "3", "1", "1.86"]
        assert "<title>1–2: 1" in text

    def test_what_was_repaired_left_aside_and_set(self, read: Reader) -> None:
        assert table(read, "repair") == [["clipped_bytes", "1"]]
        assert table(read, "collection", "suffix") == [
            ["plain", ".txt", "3"],
            ["plain", "(none)", "1"],
            ["all", "", "4"],
        ]
        assert ["limits.min_notes", "16"] in table(read, "setting")

    def test_values_under_the_pointer(self, text: str) -> None:
        assert "<title>0:05 to 0:10: 14 (100.0%)</title>" in text  # every tune lasts 9.95 s

    def test_example_pieces_of_the_training_split(self, text: str, staged: Any) -> None:
        training = set(staged.manifest.filter(status="accepted", split="train")["path"])
        captions = re.findall(r'<figure class="example">\s*<figcaption>(.*?)<small>', text)
        shown = [html.unescape(caption) for caption in captions]
        assert len(shown) == len(set(shown)) == 6
        assert all(path in training or path.startswith("<script>") for path in shown)
        assert text.count('<svg class="roll"') == 6


class TestItIsSafe:
    def test_no_text_of_others_becomes_markup(self, read: Reader, text: str) -> None:
        assert {tag for tag, _ in read.tags}.isdisjoint({"script", "img", "iframe", "object", "link"})
        assert "&lt;script&gt;alert(1)" in text

    def test_invisible_signs_are_made_visible(self, text: str) -> None:
        assert "\u202e" not in text
        assert "\\u202e" in text

    def test_it_loads_nothing(self, read: Reader, text: str) -> None:
        for tag, attributes in read.tags:
            assert not {name for name in attributes if name.startswith("on")}
            for name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                value = attributes.get(name)
                assert value is None or value.startswith("#"), (tag, name, value)
        style = text[text.index("<style>") : text.index("</style>")]
        assert "url(" not in style and "@import" not in style

    def test_it_does_not_tell_where_it_was_made(self, text: str, staged: Any) -> None:
        assert str(staged.folder) not in text


class TestItIsMade:
    def test_into_the_folder_with_its_metadata(self, staged: Any) -> None:
        write_card(staged.version, staged.manifest)
        assert (staged.folder / "card.html").read_text(encoding="utf-8").startswith("<!doctype html>")
        assert (staged.folder / "croissant.json").exists()

    def test_the_same_every_time(self, text: str, staged: Any) -> None:
        assert page(staged.version, staged.manifest) == text

    def test_with_other_examples_for_another_digest(self, text: str, staged: Any) -> None:
        other = page(staged.with_description(digest="f" * 32), staged.manifest)
        rolls = re.compile(r"<figure class=\"example\">.*?</figure>", re.DOTALL)
        assert rolls.findall(other) != rolls.findall(text)

    def test_of_a_version_without_pieces(self, empty: Any) -> None:
        read = Reader(page(empty.version, empty.manifest))
        assert table(read, "outcome", "reason", "files")[-1][2] == "1"

    def test_with_the_version_before(self, staged: Any) -> None:
        assert "e" * 32 in page(staged.with_description(parent="e" * 32), staged.manifest)


def test_the_snippet_runs(text: str, staged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (snippet,) = re.findall(r"<pre><code>(.*?)</code></pre>", text, re.DOTALL)
    monkeypatch.chdir(staged.folder)
    printed, names = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        exec(html.unescape(snippet), names)
    assert "40 notes" in printed.getvalue()
    assert isinstance(names["manifest"], pl.DataFrame)
    assert len(names["notes"]) == 40


def test_many_collections_are_summed_not_lost(tmp_path: Path, staged: Any) -> None:
    many = pl.concat([staged.manifest.with_columns(collection=pl.lit(f"c{number}")) for number in range(150)])
    *lines, total = table(Reader(page(staged.version, many)), "collection", "licence")
    assert len(lines) == 101
    assert "more" in lines[-1][0]
    assert sum(number(line[2]) for line in lines) == number(total[2]) == len(many)
