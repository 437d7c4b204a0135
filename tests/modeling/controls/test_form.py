"""Forms: sections by letter, or drawn by a seed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from modeling.controls.form import BACK, LENGTH_SHARES, NEW, SECTIONS, Plans, parse_form, plans_of


def test_a_section_recalls_the_first_with_its_letter() -> None:
    assert parse_form("AABA") == (NEW, 0, NEW, 0)
    assert parse_form("AB AC A") == (NEW, NEW, 0, NEW, 0)
    assert parse_form("aA") == (NEW, NEW), "large and small letters differ"


@pytest.mark.parametrize("text", ["", "A1", "A-B", "A" * 65])
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a letter for each section"):
        parse_form(text)


def drawn(seed: int, numbers: NDArray[np.int64], bars: int = 4, returns: float = 0.4) -> Plans:
    return plans_of(None, bars, np.full(len(numbers), returns), seed, numbers)


def test_a_written_form_is_gone_through_over_and_over() -> None:
    plans = plans_of("ABA", 3, np.zeros(2), 0, np.arange(2))
    assert plans.recalled.shape == (2, SECTIONS)
    assert plans.recalled[0, :9].tolist() == [NEW, NEW, 0, 0, 1, 0, 0, 1, 0]
    assert (plans.recalled[0] == plans.recalled[1]).all()
    assert plans.bars.tolist() == [3, 3]


def test_a_drawn_one_is_a_function_of_seed_and_number() -> None:
    plans = drawn(7, np.arange(40))
    again, other = (drawn(seed, np.array([33])) for seed in (7, 8))
    assert (again.recalled[0] == plans.recalled[33]).all()
    assert again.bars[0] == plans.bars[33]
    assert len(np.unique(plans.recalled, axis=0)) == 40
    assert (other.recalled[0] != plans.recalled[33]).any()


@pytest.mark.parametrize("returns", [0.1, 0.4, 0.9])
def test_some_of_its_sections_recall_one_of_the_four_before(returns: float) -> None:
    plans, sections = drawn(0, np.arange(400), returns=returns).recalled, np.arange(SECTIONS)
    assert (plans[:, 0] == NEW).all()
    recalls = plans != NEW
    assert recalls.mean() == pytest.approx(returns, abs=0.03)
    assert recalls.mean(axis=1).std() > 0.1
    back = np.broadcast_to(sections, plans.shape)[recalls] - plans[recalls]
    assert (np.bincount(back, minlength=5) / len(back))[1:] == pytest.approx(BACK, abs=0.02)


def test_pieces_differ_in_how_much_of_them_comes_back() -> None:
    share = (drawn(0, np.arange(400)).recalled != NEW).mean(axis=1)
    assert (share < 0.1).any() and (share > 0.8).any()


def test_none_or_nearly_all_of_them_may() -> None:
    never, always = (drawn(0, np.arange(400), returns=returns).recalled != NEW for returns in (0.0, 1.0))
    assert never.mean() < 0.02
    assert always.mean() > 0.97


def test_its_sections_are_longer_in_some_pieces_than_in_others() -> None:
    bars = drawn(0, np.arange(2000)).bars
    lengths, counts = np.unique(bars, return_counts=True)
    assert lengths.tolist() == [2, 4, 6]
    assert counts / len(bars) == pytest.approx(LENGTH_SHARES, abs=0.03)
    assert set(drawn(0, np.arange(100), bars=1).bars.tolist()) == {1, 2}, "one bar at least"
