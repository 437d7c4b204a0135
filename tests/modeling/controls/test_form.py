"""Forms: sections by letter, or drawn by a seed."""

from __future__ import annotations

import numpy as np
import pytest

from modeling.controls.form import BACK, NEW, RETURNS, SECTIONS, parse_form, plans_of


def test_a_section_recalls_the_first_with_its_letter() -> None:
    assert parse_form("AABA") == (NEW, 0, NEW, 0)
    assert parse_form("AB AC A") == (NEW, NEW, 0, NEW, 0)
    assert parse_form("aA") == (NEW, NEW), "large and small letters differ"


@pytest.mark.parametrize("text", ["", "A1", "A-B", "A" * 65])
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a letter for each section"):
        parse_form(text)


def test_a_written_form_is_gone_through_over_and_over() -> None:
    plan = plans_of("ABA", 0, np.arange(2))
    assert plan.shape == (2, SECTIONS)
    assert plan[0, :9].tolist() == [NEW, NEW, 0, 0, 1, 0, 0, 1, 0]
    assert (plan[0] == plan[1]).all()


def test_a_drawn_one_is_a_function_of_seed_and_number() -> None:
    plans = plans_of(None, 7, np.arange(40))
    assert (plans_of(None, 7, np.array([33])) == plans[33]).all()
    assert len(np.unique(plans, axis=0)) == 40
    assert (plans_of(None, 8, np.array([33])) != plans[33]).any()


def test_some_of_its_sections_recall_one_of_the_four_before() -> None:
    plans, sections = plans_of(None, 0, np.arange(400)), np.arange(SECTIONS)
    assert (plans[:, 0] == NEW).all()
    recalls = plans != NEW
    returns, others = RETURNS
    assert recalls.mean() == pytest.approx(returns / (returns + others), abs=0.03)
    share = recalls.mean(axis=1)
    assert (share < 0.1).any() and (share > 0.8).any(), "pieces differ in how much of them comes back"
    back = np.broadcast_to(sections, plans.shape)[recalls] - plans[recalls]
    assert (np.bincount(back, minlength=5) / len(back))[1:] == pytest.approx(BACK, abs=0.02)
