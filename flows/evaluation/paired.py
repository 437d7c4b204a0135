"""Two models on the same held-out families, headers and seeds: the differences of their figures, with intervals.

A paired bootstrap: a resample draws families with replacement, once for both models, and each composed piece goes with
the family of its header. What makes a family easy or hard then counts for both, and the interval of the difference is
narrower than those of the two figures would suggest. Differences are of the model to the other one: all figures here
are better the lower they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from flows.evaluation.compare import GroupSets, mean_over_groups
from flows.evaluation.likelihood import RATIOS, draw_families, parts_of, ratio_of
from flows.evaluation.paired_report import DISTANCE, Difference
from flows.evaluation.report import ALL, Estimate, GroupReport
from tokenization.measures import MEASURES, Measure, Resampled, resampled
from tokenization.measures.distances import CONFIDENCE, Weights, draw_weights

LEAST_FAMILIES: Final = 6
"""With fewer, all of them pointing the same way would still be chance (sign test at 5 %): nothing is told apart."""
UNIT: Final = "× floor"


def compare_likelihoods(first: pl.DataFrame, second: pl.DataFrame, resamples: int, seed: int) -> list[Difference]:
    """Compare the likelihoods of the same pieces under two models: all together, then style by style.

    Nats per token are left out where the models do not have the same tokens.
    """
    assert first["piece"].equals(second["piece"])
    if not len(first):
        return []
    weights, once = draw_families(first, resamples, seed), np.ones((1, len(first)))
    found = []
    for group, rows in parts_of(first).items():
        for ratio in RATIOS:
            if ratio.column == "tokens" and not first["tokens"].equals(second["tokens"]):
                continue
            model, other = (
                Resampled(float(ratio_of(ratio, table, rows, once)[0]), ratio_of(ratio, table, rows, weights))
                for table in (first, second)
            )
            found.append(_difference(ratio.name, ratio.title, ratio.unit, group, model, other, int(rows.sum())))
    return found


def compare_pieces(
    first: Mapping[str, GroupSets],
    second: Mapping[str, GroupSets],
    floors: Sequence[GroupReport],
    resamples: int,
    seed: int,
) -> list[Difference]:
    """Compare how far pieces composed under the same headers are from real ones, as multiples of the floor.

    All groups together come first, then each of them. `floors`: the reports of the same groups, for either model.
    """
    weights = {
        name: draw_weights(len(sets.held_out), resamples, np.random.default_rng([seed, 4, number]))
        for number, (name, sets) in enumerate(first.items())
    }
    found = []
    for report in floors:
        names = [*first] if report.group == ALL else [report.group]
        families = sum(len(first[name].held_out) for name in names)
        pairs: list[tuple[Resampled, Resampled]] = []
        rows = []
        for measure in MEASURES:
            about = report.measure(measure.name)
            if about is None or about.multiple is None:
                continue
            floor = about.floor.value
            model, other = (
                _multiples(measure, floor, [sets[name] for name in names], [weights[name] for name in names])
                for sets in (first, second)
            )
            if not np.isnan(model.value + other.value):
                pairs.append((model, other))
                rows.append(_difference(measure.name, measure.title, UNIT, report.group, model, other, families))
        if rows:
            title = "Distance from real pieces, median over measures"
            model, other = (_median([pair[number] for pair in pairs]) for number in (0, 1))
            found.append(_difference(DISTANCE, title, UNIT, report.group, model, other, families))
        found += rows
    return found


def _multiples(measure: Measure, floor: float, groups: Sequence[GroupSets], weights: Sequence[Weights]) -> Resampled:
    """Return the mean distance over some groups as a multiple of the floor; `weights`: of their held-out families."""
    drawn = []
    for sets, held_out in zip(groups, weights):
        of_samples = held_out[:, np.arange(len(sets.samples)) % len(sets.held_out)]  # piece i has header i, around
        samples, real = sets.samples[measure.name], sets.held_out[measure.name]
        drawn.append(resampled(measure, samples, real, of_samples, held_out))
    apart = mean_over_groups(drawn)
    return Resampled(apart.value / floor, apart.resamples / floor)


def _median(drawn: Sequence[Resampled]) -> Resampled:
    values = np.array([each.value for each in drawn])
    return Resampled(float(np.median(values)), np.nanmedian(np.stack([each.resamples for each in drawn]), axis=0))


def _difference(
    figure: str, title: str, unit: str, group: str, model: Resampled, against: Resampled, families: int
) -> Difference:
    value = model.value - against.value
    apart = model.resamples - against.resamples
    apart = apart[~np.isnan(apart)]
    # Resampled sets repeat pieces and are further apart than the sets themselves; what is left of that is taken away.
    low, high = np.quantile(apart, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)) - apart.mean() + value
    verdict = "no difference"
    if families >= LEAST_FAMILIES and not low <= 0 <= high:
        verdict = "better" if value < 0 else "worse"
    return Difference(
        figure=figure,
        title=title,
        unit=unit,
        group=group,
        families=families,
        model=model.value,
        against=against.value,
        difference=Estimate(value=value, low=float(low), high=float(high)),
        verdict=verdict,
    )
