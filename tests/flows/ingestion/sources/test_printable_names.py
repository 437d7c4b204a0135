"""Printable names: text for any bytes, unchanged where they are good."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flows.ingestion.sources.printable_names import printable


def text(*names: bytes) -> list[str]:
    return printable(pl.Series(names, dtype=pl.Binary)).to_list()


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
