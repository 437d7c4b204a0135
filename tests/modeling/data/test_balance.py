"""Balance: the share of each style in an epoch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.data.balance import balanced_copies

SIZES = np.array([60, 40, 10, 5, 10, 1])
STYLES = np.array([7, 7, 3, 3, 3, 9])


def shares(copies: np.ndarray) -> dict[int, int]:
    return {style: int((SIZES * copies)[style == STYLES].sum()) for style in (7, 3, 9)}


def test_without_balance_each_piece_stands_once() -> None:
    assert balanced_copies(SIZES, STYLES, 0.0, seed=0).tolist() == [1] * 6


def test_with_full_balance_all_styles_have_the_tokens_of_the_largest() -> None:
    assert shares(balanced_copies(SIZES, STYLES, 1.0, seed=0)) == {7: 100, 3: 100, 9: 100}


def test_between_them_shares_follow_the_power() -> None:
    assert shares(balanced_copies(SIZES, STYLES, 0.5, seed=0)) == {7: 100, 3: 50, 9: 10}


def test_what_is_left_of_a_rate_goes_to_some_pieces_by_the_seed() -> None:
    sizes, styles = np.array([15, *[1] * 10]), np.array([0, *[1] * 10])
    first, second = (balanced_copies(sizes, styles, 1.0, seed) for seed in (0, 1))
    assert sorted(first[1:]) == sorted(second[1:]) == [1] * 5 + [2] * 5
    assert first.tolist() != second.tolist()


@settings(max_examples=25, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(1, 500), st.integers(0, 4)), min_size=1, max_size=20),
    exponent=st.floats(0, 1),
)
def test_no_piece_is_left_out(pieces: list[tuple[int, int]], exponent: float) -> None:
    sizes, styles = np.array(pieces).T
    assert balanced_copies(sizes, styles, exponent, seed=3).min() >= 1
