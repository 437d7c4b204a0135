"""Counts in messages."""

from __future__ import annotations

import pytest

from infra.wording import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 notes"), (1, "1 note"), (2, "2 notes"), (1_000, "1,000 notes"), (-1, "-1 notes")]
)
def test_one_is_singular(count: int, text: str) -> None:
    assert counted(count, "note") == text


def test_a_plural_may_be_given() -> None:
    assert (counted(1, "family", "families"), counted(12, "family", "families")) == ("1 family", "12 families")
