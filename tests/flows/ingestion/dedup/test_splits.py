"""Splits: shares within every style, no family in two of them, and what was held out stays held out."""

from __future__ import annotations

import hashlib
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.ingestion.dedup.splits import STRICTNESS, SplitShares, assign_splits
from tokenization.dataset.splits import SPLITS, TEST, TRAIN, VALIDATION


def sha(number: object) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def singles(count: int, style: str | None = "bach", first: int = 0) -> pl.DataFrame:
    """Families of one piece each."""
    names = [sha(number) for number in range(first, first + count)]
    return frame([(name, name, style) for name in names])


def frame(rows: list[tuple[str, str, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"sha256": pl.String, "family": pl.String, "style": pl.String}, orient="row")


def placed(pieces: pl.DataFrame, inherited: pl.DataFrame | None = None, **shares: float) -> dict[str, str]:
    return dict(assign_splits(pieces, SplitShares(**shares), inherited).iter_rows())


def as_inherited(pieces: pl.DataFrame, splits: dict[str, str]) -> pl.DataFrame:
    return pieces.select("sha256", pl.col("family").replace_strict(splits).alias("split"))


class TestShares:
    def test_are_exact_in_every_style(self) -> None:
        pieces = pl.concat([singles(50, "bach"), singles(20, "jazz", 100), singles(10, None, 200)])
        splits = placed(pieces, validation=0.2, test=0.1)
        styles = dict(pieces.select("family", "style").iter_rows())
        counts = Counter((styles[family], split) for family, split in splits.items())
        assert counts == {
            ("bach", TRAIN): 35,
            ("bach", VALIDATION): 10,
            ("bach", TEST): 5,
            ("jazz", TRAIN): 14,
            ("jazz", VALIDATION): 4,
            ("jazz", TEST): 2,
            (None, TRAIN): 7,
            (None, VALIDATION): 2,
            (None, TEST): 1,
        }

    def test_a_style_of_few_families_trains(self) -> None:
        assert Counter(placed(singles(4)).values()) == {TRAIN: 4}
        assert Counter(placed(singles(5)).values()) == {TRAIN: 3, VALIDATION: 1, TEST: 1}

    def test_nothing_held_out(self) -> None:
        assert set(placed(singles(30), validation=0, test=0).values()) == {TRAIN}

    def test_nothing_at_all(self) -> None:
        assert placed(singles(0)) == {}

    @pytest.mark.parametrize("share", [-0.1, 0.5, 1.0])
    def test_half_or_more_cannot_be_held_out(self, share: float) -> None:
        with pytest.raises(ValidationError):
            SplitShares(validation=share)


class TestOrder:
    def test_does_not_matter(self) -> None:
        pieces = singles(60)
        assert placed(pieces) == placed(pieces.reverse())

    def test_another_seed_is_another_draw(self) -> None:
        assert placed(singles(60), seed=1) != placed(singles(60))

    def test_who_is_held_out_follows_from_the_hash_of_seed_and_family(self) -> None:
        pieces = singles(10)
        by_draw = sorted(pieces["family"], key=lambda family: sha(f"0:{family}"))
        splits = placed(pieces)
        assert [splits[family] for family in by_draw] == [TEST, VALIDATION] + [TRAIN] * 8


class TestFamilies:
    def test_have_one_split_and_the_style_of_the_kept_piece(self) -> None:
        family = sha("kept")
        pieces = pl.concat([singles(9), frame([(sha("other"), family, "jazz"), (family, family, "bach")])])
        splits = placed(pieces)
        assert len(splits) == 10
        assert Counter(splits.values()) == {TRAIN: 8, VALIDATION: 1, TEST: 1}


class TestGrowth:
    def test_old_families_stay_and_new_ones_fill_the_shares(self) -> None:
        before = singles(20)
        splits = placed(before)
        after = pl.concat([before, singles(20, "bach", 100)])
        grown = placed(after, as_inherited(before, splits))
        assert {family: grown[family] for family in splits} == splits
        assert Counter(grown.values()) == {TRAIN: 32, VALIDATION: 4, TEST: 4}

    def test_a_family_stays_when_a_better_member_becomes_the_kept_one(self) -> None:
        before = singles(20)
        splits = placed(before)
        held_out = next(family for family, split in splits.items() if split == TEST)
        better = sha("better")
        rows = [(s, better if f == held_out else f, style) for s, f, style in before.iter_rows()]
        grown = placed(frame([*rows, (better, better, "bach")]), as_inherited(before, splits))
        assert grown[better] == TEST

    @pytest.mark.parametrize(
        ("places", "expected"), [((TRAIN, TEST), TEST), ((VALIDATION, TRAIN), VALIDATION), ((VALIDATION, TEST), TEST)]
    )
    def test_families_that_grow_together_go_to_the_strictest_split(
        self, places: tuple[str, str], expected: str
    ) -> None:
        a, b = sha("a"), sha("b")
        inherited = pl.DataFrame({"sha256": [a, b], "split": places})
        assert placed(frame([(a, a, "bach"), (b, a, "bach")]), inherited) == {a: expected}

    @given(st.integers(0, 80), st.integers(0, 80), st.integers(1, 4))
    @settings(deadline=None, max_examples=30)
    def test_nothing_held_out_ever_trains(self, old: int, new: int, styles: int) -> None:
        everything = pl.concat([singles(1, f"style{n % styles}", n) for n in range(old + new)] or [singles(0)])
        before = everything.head(old)
        splits = placed(before)
        grown = placed(everything, as_inherited(before, splits))
        assert all(STRICTNESS[grown[family]] >= STRICTNESS[split] for family, split in splits.items())
        assert set(grown.values()) <= set(SPLITS)
