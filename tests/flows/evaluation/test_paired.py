"""Two models compared: what makes a family hard counts for both, and what is chance is no difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tunes import bars_shuffled, measured

from flows.evaluation.compare import GroupSets, compare
from flows.evaluation.likelihood import likelihood_reports
from flows.evaluation.paired import LEAST_FAMILIES, compare_likelihoods, compare_pieces
from flows.evaluation.paired_report import DISTANCE
from flows.evaluation.report import ALL


def losses(added: float, spread: float = 0.0, families: int = 20, seed: int = 0) -> pl.DataFrame:
    """Losses of pieces that are very unlike each other, every one `added` nats a note higher, give or take."""
    hard = np.random.default_rng(1).uniform(1, 9, families)
    random = np.random.default_rng(seed)
    notes = np.full(families, 100.0)
    return pl.DataFrame(
        {
            "style": ["bach" if number % 2 else "jazz" for number in range(families)],
            "piece": [str(number) for number in range(families)],
            "family": [str(number) for number in range(families)],
            "nats": notes * (hard + added + random.normal(0, spread, families) if spread else hard + added),
            "tokens": notes * 2,
            "notes": notes,
            "seconds": notes / 4,
        }
    )


class TestLikelihoods:
    def test_are_losses_of_all_pieces_by_what_these_have(self) -> None:
        overall, bach, jazz = likelihood_reports(losses(0), 200, seed=0)
        assert [each.group for each in (overall, bach, jazz)] == [ALL, "bach", "jazz"]
        assert overall.families == 20
        mean = losses(0)["nats"].sum() / 2000
        assert overall.nats_per_note.value == pytest.approx(mean)
        assert overall.nats_per_token.value == pytest.approx(mean / 2)
        assert overall.bits_per_second.value == pytest.approx(mean * 4 / np.log(2))
        assert overall.nats_per_note.low < mean < overall.nats_per_note.high

    def test_a_small_steady_difference_is_told_though_families_are_far_apart(self) -> None:
        better, *_ = compare_likelihoods(losses(-0.05, 0.05), losses(0), 500, 0)
        assert (better.figure, better.group, better.verdict) == ("nats_per_note", ALL, "better")
        assert -0.1 < better.difference.low < better.difference.value < better.difference.high < 0
        worse, *_ = compare_likelihoods(losses(0), losses(-0.05, 0.05), 500, 0)
        assert worse.verdict == "worse"
        assert worse.difference.value == pytest.approx(-better.difference.value)

    def test_the_same_model_is_no_different(self) -> None:
        found = compare_likelihoods(losses(0), losses(0), 100, 0)
        assert {each.verdict for each in found} == {"no difference"}
        assert all(each.difference.value == each.difference.low == each.difference.high == 0 for each in found)

    def test_an_interval_misses_what_is_true_about_as_often_as_it_says(self) -> None:
        found = [
            compare_likelihoods(losses(0, 0.3, 30, seed), losses(0, families=30), 200, seed)[0] for seed in range(100)
        ]
        assert 0 < sum(each.verdict != "no difference" for each in found) <= 14  # 5 expected, a few more of 30 families

    def test_a_few_families_tell_nothing(self) -> None:
        found = compare_likelihoods(losses(9, families=8), losses(0, families=8), 100, 0)
        assert {each.group: each.verdict for each in found if each.figure == "nats_per_note"} == {
            ALL: "worse",
            "bach": "no difference",
            "jazz": "no difference",
        }
        assert LEAST_FAMILIES > 4

    def test_tokens_of_other_encodings_are_not_compared(self) -> None:
        other = losses(0).with_columns(pl.col("tokens") * 1.5)
        assert {each.figure for each in compare_likelihoods(losses(0), other, 50, 0)} == {
            "nats_per_note",
            "bits_per_second",
        }


class TestComposedPieces:
    def test_a_model_with_a_damage_is_worse_by_the_measures_meant_for_it_alone(self) -> None:
        good = {"tunes": GroupSets(measured(0, 24), measured(100, 12), measured(200, 24))}
        bad = {"tunes": replace(good["tunes"], samples=measured(0, 24, bars_shuffled))}
        floors = compare(good, 200, 0)
        found = {each.figure: each for each in compare_pieces(bad, good, floors, 200, 0) if each.group == ALL}
        order, pitches = found["self_similarity"], found["pitch_class"]
        assert (order.verdict, pitches.verdict, pitches.difference.value) == ("worse", "no difference", 0)
        apart = compare(bad, 200, 0)[0].measure("self_similarity")
        assert apart is not None and order.model == pytest.approx(apart.multiple)
        assert order.families == 12

    def test_the_distance_is_the_median_over_measures(self) -> None:
        good = {name: GroupSets(measured(0, 12), measured(100, 12), measured(200, 12)) for name in ("a", "b")}
        bad = {name: replace(sets, samples=measured(0, 12, bars_shuffled)) for name, sets in good.items()}
        floors, worse = compare(good, 100, 0), compare(bad, 100, 0)
        found = compare_pieces(bad, good, floors, 100, 0)
        first = found[0]
        assert (first.figure, first.group, first.families) == (DISTANCE, ALL, 24)
        assert (first.model, first.against) == pytest.approx((worse[0].multiple, floors[0].multiple))
        assert {each.group for each in found} == {ALL, "a", "b"}
        assert found == compare_pieces(bad, good, floors, 100, 0), "a function of its arguments"
