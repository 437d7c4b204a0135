"""Errors: each carries its exit status, and those for unknown names list or suggest what exists."""

from __future__ import annotations

from infra.errors import MusenetError, RunError, UserError, nearest, unknown_name


def test_it_lists_what_exists() -> None:
    error = unknown_name("dataset", "lakh", ["starter", "jazz"], "make one")
    assert isinstance(error, UserError)
    assert str(error) == "no dataset 'lakh'; there are: starter, jazz"


def test_it_says_how_to_make_the_first_one() -> None:
    assert str(unknown_name("dataset", "lakh", [], "make one")) == "no dataset 'lakh'; there is none yet; make one"
    assert str(unknown_name("dataset", "lakh", [])) == "no dataset 'lakh'; there is none yet"


def test_of_many_names_it_lists_the_nearest() -> None:
    styles = [f"style{number}" for number in range(60)] + ["chopin"]
    message = str(unknown_name("style", "chopn", styles))
    assert message.startswith("no style 'chopn'; nearest of 61: chopin, ")
    assert message.count(",") == 4


def test_an_error_carries_the_exit_status_of_its_command() -> None:
    assert (UserError("").exit_status, RunError("").exit_status, MusenetError("").exit_status) == (2, 1, 1)
    assert issubclass(UserError, MusenetError)
    assert issubclass(RunError, MusenetError)


def test_the_nearest_name_is_offered() -> None:
    assert nearest("training.step", ["training.steps", "model.layers"]) == "; nearest: 'training.steps'"


def test_none_is_offered_where_nothing_is_near() -> None:
    assert nearest("xyz", ["training.steps", "model.layers"]) == ""
    assert nearest("xyz", []) == ""
