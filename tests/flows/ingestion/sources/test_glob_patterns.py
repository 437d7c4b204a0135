"""Glob patterns: which paths they match."""

from __future__ import annotations

import fnmatch

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.ingestion.sources.glob_patterns import glob_regex


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
