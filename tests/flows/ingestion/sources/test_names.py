"""Names as printable text, and glob patterns."""

from __future__ import annotations

import fnmatch

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.ingestion.sources.names import as_text, glob_regex


def text(*names: bytes) -> list[str]:
    return as_text(pl.Series(names, dtype=pl.Binary)).to_list()


class TestText:
    def test_of_any_bytes(self) -> None:
        assert text(b"caf\xe9.mid", "café.mid".encode(), b"a\nb\x1b[31m\x7f.mid") == [
            r"caf\xe9.mid",
            "café.mid",
            r"a\x0ab\x1b[31m\x7f.mid",
        ]

    def test_of_marks_that_turn_the_line_around(self) -> None:
        assert text("a\u202edim.exe".encode(), "\u2028".encode(), "\x85".encode()) == [
            r"a\u202edim.exe",
            r"\u2028",
            r"\x85",
        ]

    @given(st.lists(st.binary(max_size=20), max_size=5))
    def test_is_printable_and_leaves_good_names_alone(self, names: list[bytes]) -> None:
        for name, shown in zip(names, text(*names), strict=True):
            assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)
            assert shown.encode() == name or b"\\" in shown.encode()


def matches(pattern: str, path: str, folders: bool = False) -> bool:
    return bool(pl.Series([path]).str.contains(glob_regex(pattern, folders)).item())


class TestGlobs:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("*.mid", "a.mid"),
            ("*.mid", "deep/down/a.MID"),
            ("a?c[0-9].mid", "abc7.mid"),
            ("[!a]*", "bach"),
            ("rock/*.mid", "rock/1.mid"),
            ("rock/**", "rock/live/1.mid"),
            ("**/live/*.mid", "rock/live/1.mid"),
            ("**/live/*.mid", "live/1.mid"),
            ("a+b (1).mid", "a+b (1).mid"),
            ("[[]x]", "[x]"),
            ("[a&&b]", "&"),
        ],
    )
    def test_that_match(self, pattern: str, path: str) -> None:
        assert matches(pattern, path)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("*.mid", "a.mid.txt"),
            ("a.mid", "ba.mid"),
            ("a.mid", "axmid"),
            ("rock/*.mid", "rock/live/1.mid"),
            ("rock/*.mid", "punk/rock/1.mid"),
            ("[!a]*", "a"),
            ("?", "ab"),
        ],
    )
    def test_that_do_not(self, pattern: str, path: str) -> None:
        assert not matches(pattern, path)

    def test_a_folder_stands_for_all_below_it(self) -> None:
        assert matches("drafts", "opera/drafts/1/a.mid", folders=True)
        assert matches("opera/drafts/", "opera/drafts/1/a.mid", folders=True)
        assert not matches("drafts", "opera/drafts/a.mid")
        assert not matches("/drafts", "opera/drafts/a.mid", folders=True)

    def test_nothing_is_no_pattern(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            glob_regex("/")

    @given(st.text("ab*?.[!]-\\^&~", min_size=1, max_size=8), st.text("ab.-\\^&~", min_size=1, max_size=6))
    def test_as_the_shell_has_them(self, pattern: str, name: str) -> None:
        """Within one name, and but for `**` and odd sets, a pattern means what it means to `fnmatch`."""
        if "**" in pattern or "[" in pattern:
            glob_regex(pattern)
        else:
            assert matches(pattern, name) == fnmatch.fnmatchcase(name, pattern)
