"""The comparison of sets of measured pieces: a pure function of measures and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from flows.evaluation.report import ALL, Estimate, FigureReport, GroupReport, MeasureReport
from tokenization.measures import FIGURES, MEASURES, Collected, Figure, Measure, Resampled, distance, resampled
from tokenization.measures.distances import Weights, draw_splits, draw_weights, splits_apart, weighted_mean

REAL = "real"
FLAT = 1e-9
"""Floor below which real pieces are all alike, but for rounding."""


@dataclass(frozen=True)
class GroupSets:
    """The measured pieces of one group."""

    samples: Collected
    held_out: Collected
    real: Collected
    """Other real pieces, for the floor."""
    references: Mapping[str, Collected] = field(default_factory=dict)
    """Pieces of the n-gram and of noise, by name."""


@dataclass(frozen=True)
class _Weighted:
    """A group with the weights of its resampled sets."""

    sets: GroupSets
    samples: Weights
    held_out: Weights
    split: Weights
    """Of the held-out and the other real pieces together: those on the first side of each random split."""


def compare(groups: Mapping[str, GroupSets], resamples: int, seed: int) -> list[GroupReport]:
    """Compare the samples of each group with its held-out pieces; the average over groups comes first.

    The floor of a measure is how far real pieces are apart: held-out and other ones together are split at random, again
    and again, into sets of the same sizes. A distance of ALL is the mean over groups, so that a model whose styles are
    all alike is not taken for good. Equal arguments give equal reports. Raises ValueError without groups.
    """
    if not groups:
        raise ValueError("there is no group to compare")
    weighted = {}
    for number, (name, sets) in enumerate(groups.items()):
        random = np.random.default_rng([seed, number])
        weighted[name] = _Weighted(
            sets,
            samples=draw_weights(len(sets.samples), resamples, random),
            held_out=draw_weights(len(sets.held_out), resamples, random),
            split=draw_splits(len(sets.held_out), len(sets.real), resamples, random),
        )
    reports = [_report(ALL, list(weighted.values()))]
    return reports + [_report(name, [group]) for name, group in weighted.items()]


def _report(name: str, groups: Sequence[_Weighted]) -> GroupReport:
    measures = [each for measure in MEASURES if (each := _measure(measure, groups)) is not None]
    multiples = [each.multiple for each in measures if each.multiple is not None]
    return GroupReport(
        group=name,
        samples=sum(len(group.sets.samples) for group in groups),
        held_out=sum(len(group.sets.held_out) for group in groups),
        real=sum(len(group.sets.real) for group in groups),
        measures=measures,
        figures=[found for figure in FIGURES if (found := _figure(figure, groups)) is not None],
        multiple=median(multiples) if multiples else None,
    )


def _measure(measure: Measure, groups: Sequence[_Weighted]) -> MeasureReport | None:
    """Return the report of a measure, None where samples or real pieces have no value."""
    name = measure.name
    apart = mean_over_groups(
        resampled(measure, group.sets.samples[name], group.sets.held_out[name], group.samples, group.held_out)
        for group in groups
    )
    floor = mean_over_groups(
        splits_apart(measure, np.concatenate([group.sets.held_out[name], group.sets.real[name]]), group.split)
        for group in groups
    )
    if np.isnan(apart.value) or np.isnan(floor.value):
        return None
    references = {}
    for reference in _references(groups):
        values = [
            distance(measure, group.sets.references[reference][name], group.sets.held_out[name])
            for group in groups
            if reference in group.sets.references
        ]
        if not np.isnan(values).all():
            references[reference] = float(np.nanmean(values))
    return MeasureReport(
        measure=name,
        unit=measure.unit,
        distance=_estimate(apart),
        floor=_spread(floor),
        multiple=apart.value / floor.value if floor.value > FLAT else None,
        references=references,
    )


def _figure(figure: Figure, groups: Sequence[_Weighted]) -> FigureReport | None:
    samples = mean_over_groups(_mean_of(figure, group.sets.samples, group.samples) for group in groups)
    if np.isnan(samples.value):
        return None
    held_out = mean_over_groups(_mean_of(figure, group.sets.held_out, group.held_out) for group in groups)
    references = {REAL: _plain_mean(figure, groups, lambda sets: sets.real)}
    for name in _references(groups):
        references[name] = _plain_mean(figure, groups, lambda sets, name=name: sets.references.get(name))  # type: ignore[misc]
    return FigureReport(
        figure=figure.name,
        title=figure.title,
        unit=figure.unit,
        samples=_estimate(samples),
        held_out=None if np.isnan(held_out.value) else _estimate(held_out),
        references={name: value for name, value in references.items() if not np.isnan(value)},
    )


def _references(groups: Sequence[_Weighted]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group.sets.references))


def _mean_of(figure: Figure, pieces: Collected, weights: Weights) -> Resampled:
    values = figure.of(pieces)
    return Resampled(float(weighted_mean(values, np.ones((1, len(values))))[0]), weighted_mean(values, weights))


def _plain_mean(figure: Figure, groups: Sequence[_Weighted], of: Callable[[GroupSets], Collected | None]) -> float:
    """Return the mean over groups of a figure's mean over pieces; NaN where none has a value."""
    sets = [found for group in groups if (found := of(group.sets)) is not None]
    values = [float(weighted_mean(figure.of(each), np.ones((1, len(each))))[0]) for each in sets]
    return float(_nanmean(np.array(values)[:, None])[0]) if values else float("nan")


def mean_over_groups(found: Iterable[Resampled]) -> Resampled:
    """Return the mean over groups that have a value, resample by resample."""
    all_of = [each for each in found if not np.isnan(each.value)]
    if not all_of:
        return Resampled(float("nan"), np.empty(0))
    value = float(np.mean([each.value for each in all_of]))
    return Resampled(value, _nanmean(np.stack([each.resamples for each in all_of])))


def _nanmean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first axis of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _spread(found: Resampled) -> Estimate:
    """Return the mean with the interval that holds 95 % of the draws."""
    low, high = np.quantile(found.resamples[~np.isnan(found.resamples)], (0.025, 0.975)).tolist()
    return Estimate(value=found.value, low=low, high=high)


def _estimate(found: Resampled) -> Estimate:
    low, high = found.interval()
    return Estimate(value=found.value, low=low, high=high)
