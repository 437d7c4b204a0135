"""Splits: shares as asked for, and a family's split depends on nothing but its id."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from pydantic import ValidationError

from flows.ingestion.splits import SPLITS, TEST, TRAIN, VALIDATION, SplitShares, split_of

FAMILIES = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(5000)]


def test_shares_are_as_asked_for() -> None:
    counts = Counter(split_of(family, SplitShares(validation=0.2, test=0.05)) for family in FAMILIES)
    assert counts[TRAIN] / 5000 == pytest.approx(0.75, abs=0.02)
    assert counts[VALIDATION] / 5000 == pytest.approx(0.2, abs=0.02)
    assert counts[TEST] / 5000 == pytest.approx(0.05, abs=0.01)


def test_known_families_stay_where_they_are() -> None:
    """These splits are on people's disks: another answer means that their test pieces begin to train."""
    families = ["a" * 64, "b" * 64, "c" * 64, "d" * 64, "e" * 64, "f" * 64]
    shares = SplitShares(validation=0.3, test=0.3)
    expected = [TRAIN, VALIDATION, TRAIN, TEST, TRAIN, TRAIN]
    assert [split_of(family, shares) for family in families] == expected


def drawn(family: str, seed: int = 0) -> float:
    """The contract in other words: the first 8 bytes of SHA-256(seed:family), as a fraction of all."""
    return int(hashlib.sha256(f"{seed}:{family}".encode()).hexdigest()[:16], 16) / 16**16


def test_validation_lies_below_test_lies_below_train() -> None:
    for family in FAMILIES[:200]:
        draw = drawn(family)
        expected = VALIDATION if draw < 0.1 else TEST if draw < 0.2 else TRAIN
        assert split_of(family, SplitShares()) == expected


def test_a_larger_validation_share_moves_nothing_out_of_it() -> None:
    small, large = SplitShares(validation=0.1), SplitShares(validation=0.2)
    before = {family for family in FAMILIES if split_of(family, small) == VALIDATION}
    assert before < {family for family in FAMILIES if split_of(family, large) == VALIDATION}


def test_another_seed_is_another_draw() -> None:
    moved = [f for f in FAMILIES if split_of(f, SplitShares(seed=1)) != split_of(f, SplitShares())]
    assert 0.2 < len(moved) / 5000 < 0.5


def test_nothing_held_out() -> None:
    assert {split_of(family, SplitShares(validation=0, test=0)) for family in FAMILIES} == {TRAIN}


@pytest.mark.parametrize("share", [-0.1, 0.5, 1.0])
def test_half_or_more_cannot_be_held_out(share: float) -> None:
    with pytest.raises(ValidationError):
        SplitShares(validation=share)


def test_the_names_of_the_splits() -> None:
    assert SPLITS == ("train", "validation", "test")
