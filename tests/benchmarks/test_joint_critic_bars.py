"""The benchmark of joint training: a loss that grows by no more than seeds differ is no worse."""

from __future__ import annotations

from joint_critic import bars


def test_a_difference_within_that_of_seeds_is_none() -> None:
    assert bars([9.0, 9.2, 9.1], [9.15, 9.1, 9.2])[0].met
    assert not bars([9.0, 9.2, 9.1], [9.3, 9.3, 9.3])[0].met


def test_one_seed_says_nothing_of_a_difference() -> None:
    assert bars([9.0], [9.0])[0].met
    assert not bars([9.0], [9.01])[0].met
