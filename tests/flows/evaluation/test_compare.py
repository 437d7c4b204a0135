"""The comparison: damaged sets are told from real ones, groups are averaged, and equal arguments give equal reports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tunes import (
    Change,
    bars_shuffled,
    jittered,
    measured,
    one_pitch,
    permuted,
    to_the_cap,
    with_silence,
    wrong_notes,
)

from flows.evaluation.compare import GroupSets, compare
from flows.evaluation.report import ALL, GroupReport
from tokenization.damages import one_chord
from tokenization.measures import Collected, distance, measure_named


def report(change: Change | None = None, **references: Collected) -> GroupReport:
    sets = GroupSets(measured(0, 24, change), measured(100, 24), measured(200, 24), references)
    return compare({"tunes": sets}, resamples=200, seed=0)[1]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (wrong_notes, "scale_share"),
        (permuted, "harmony"),
        (one_pitch, "pitch_entropy"),
        (one_pitch, "longest_run"),
        (one_chord, "longest_stay"),
        (to_the_cap, "capped"),
        (to_the_cap, "polyphony"),
        (jittered, "onset_grid"),
        (bars_shuffled, "self_similarity"),
        (with_silence, "longest_silence"),
    ],
)
def test_a_damage_is_seen_by_the_measure_meant_for_it(change: Change, name: str) -> None:
    seen = report(change).measure(name)
    assert seen is not None and seen.is_above_floor
    assert seen.distance.value > 2 * seen.floor.value


def test_real_pieces_are_at_the_floor() -> None:
    held_out, others = measured(100, 24), measured(200, 24)
    found = [
        compare({"tunes": GroupSets(measured(first, 24), held_out, others)}, 200, seed=0)[1]
        for first in range(300, 600, 50)
    ]
    assert np.median([each.multiple for each in found if each.multiple is not None]) == pytest.approx(1.0, abs=0.35)
    above = [each.is_above_floor for group in found for each in group.measures]
    assert np.mean(above) < 0.1


def test_measures_that_a_damage_leaves_alone_stay_at_the_floor() -> None:
    plain, damaged = report(), report(wrong_notes)
    for name in ("onset_interval", "duration", "groove", "density"):
        assert damaged.measure(name) == plain.measure(name)


def test_figures_are_means_over_pieces() -> None:
    found = report(to_the_cap, noise=measured(300, 4, one_pitch))
    capped, runs = found.figure("capped_pieces"), found.figure("long_runs")
    assert capped is not None and capped.samples.value == 1.0
    assert capped.held_out is not None and capped.held_out.value == 0.0
    assert runs is not None and runs.references == {"real": 0.0, "noise": 1.0}
    assert found.figure("copies") is None  # not looked for


def test_references_are_compared_with_the_same_held_out_pieces() -> None:
    other, held_out = measured(200, 24), measured(100, 24)
    found = report(None, ngram=other)
    for each in found.measures:
        assert each.references["ngram"] == pytest.approx(
            distance(measure_named(each.measure), other[each.measure], held_out[each.measure])
        )


def test_all_is_the_mean_over_groups() -> None:
    good = GroupSets(measured(0, 8), measured(100, 8), measured(200, 8))
    bad = replace(good, samples=measured(0, 8, one_pitch))
    overall, first, second = compare({"good": good, "bad": bad}, 50, 0)
    assert [each.group for each in (overall, first, second)] == [ALL, "good", "bad"]
    assert overall.samples == 16
    for each in overall.measures:
        both = [group.measure(each.measure) for group in (first, second)]
        assert each.distance.value == pytest.approx(np.mean([b.distance.value for b in both if b is not None]))


def test_equal_seeds_give_equal_reports() -> None:
    sets = {"tunes": GroupSets(measured(0, 6), measured(100, 6), measured(200, 6))}
    assert compare(sets, 50, 1) == compare(sets, 50, 1)
    assert compare(sets, 50, 1) != compare(sets, 50, 2)
