"""The error for a name that does not exist: it lists what does, or says how to make the first."""

from __future__ import annotations

from infra.errors import UserError, unknown


def test_it_lists_what_exists() -> None:
    error = unknown("dataset", "lakh", ["starter", "jazz"], "make one")
    assert isinstance(error, UserError)
    assert str(error) == "no dataset 'lakh'; there are: starter, jazz"


def test_it_says_how_to_make_the_first_one() -> None:
    assert str(unknown("dataset", "lakh", [], "make one")) == "no dataset 'lakh'; there is none yet; make one"
    assert str(unknown("dataset", "lakh", [])) == "no dataset 'lakh'; there is none yet"
