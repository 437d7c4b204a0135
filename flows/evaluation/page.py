"""The report as one self-contained HTML page: distances, figures, histograms, and piano rolls drawn at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jinja2 import Template
from markupsafe import Markup

from flows.evaluation.charts import Line, multiples, two_histograms
from flows.evaluation.compare import REAL
from flows.evaluation.evaluation import NGRAM, NOISE, Sets
from flows.evaluation.measured import real_subjects
from flows.evaluation.report import Estimate, EvaluationReport, GroupReport
from flows.evaluation.settings import EvaluationSettings
from flows.pages import page_template
from tokenization.dataset import DatasetVersion
from tokenization.measures import MEASURES, Distance, Measure, collect, measure
from tokenization.measures.definitions import BEATS_PER_BAR, PER_BEAT, PER_OCTAVE, WIDEST_INTERVAL
from tokenization.measures.distances import weighted_mean
from tokenization.midi.notes import Notes
from tokenization.pictures.piano_roll_svg import piano_roll_svg
from tokenization.vocabulary import Vocabulary, pitch_name

TEMPLATE = "evaluation.html.jinja"
REFERENCE_NAMES = {REAL: "other real", NGRAM: "n-gram", NOISE: "noise"}
ROLL_SECONDS = 60.0
MOST_COMPARED = 64
"""Pieces of each set whose histograms the page shows, at most."""


@dataclass(frozen=True)
class RollPair:
    """An evaluated piece and a real one of the same group, drawn by seed, in the order in which the page shows them."""

    group: str
    rolls: list[Markup]
    kinds: list[str]
    """`evaluated` or `real`, in the order of the rolls."""


def page(report: EvaluationReport, sets: Sequence[Sets], version: DatasetVersion, blind: bool) -> str:
    """Render the page of a report. `blind`: rolls do not say what they are; a list at the end does."""
    pairs = draw_pairs(report.settings, sets, version, blind)
    return _template().render(
        report=report,
        overall=report.overall,
        groups=report.groups[1:],
        forest=Markup(multiples(_lines(report.overall))),
        definitions={each.name: each for each in MEASURES},
        histograms=[(each.group.name, _histograms(each, version, report.settings)) for each in sets],
        pairs=pairs,
        blind=blind,
        names=REFERENCE_NAMES,
        settings=report.settings.model_dump_json(indent=1, exclude={"request"}),
        request=report.settings.request.model_dump_json(exclude_defaults=True),
    )


def draw_pairs(
    settings: EvaluationSettings, sets: Sequence[Sets], version: DatasetVersion, blind: bool
) -> list[RollPair]:
    """Draw evaluated pieces in turn from each group, each with a held-out one, none twice; equal seeds draw alike."""
    random = np.random.default_rng([settings.seed, 1])
    orders = [(random.permutation(len(each.samples)), random.permutation(len(each.group.held_out))) for each in sets]
    pairs = []
    for number in range(settings.rolls):
        turn, index = divmod(number, len(sets))
        each, (of_samples, of_real) = sets[index], orders[index]
        if turn >= min(len(of_samples), len(of_real)):
            continue
        sample = each.samples[int(of_samples[turn])]
        other = real_subjects([each.group.held_out[int(of_real[turn])]], version.encoding)[0]
        kinds = ["evaluated", "real"]
        if blind and random.random() < 0.5:
            kinds.reverse()
        rolls = {
            "evaluated": _roll(sample.notes, each.encoding.vocabulary, settings),
            "real": _roll(other.notes, version.vocabulary, settings),
        }
        pairs.append(RollPair(each.group.name, [rolls[kind] for kind in kinds], kinds))
    return pairs


def _roll(notes: Notes, vocabulary: Vocabulary, settings: EvaluationSettings) -> Markup:
    part = settings.extract.of(notes)
    if len(part):
        part = replace(part, onset=part.onset - part.onset[0])
    return Markup(piano_roll_svg(part, vocabulary, "", ROLL_SECONDS))


def _lines(group: GroupReport) -> list[Line]:
    titles = {each.name: each.title for each in MEASURES}
    lines = []
    for each in group.measures:
        floor = each.floor.value
        if each.multiple is not None:
            references = {REFERENCE_NAMES[name]: value / floor for name, value in each.references.items()}
            low, high = each.distance.low / floor, each.distance.high / floor
            lines.append(Line(titles[each.measure], each.multiple, low, high, references))
    return lines


def _histograms(sets: Sets, version: DatasetVersion, settings: EvaluationSettings) -> list[Markup]:
    """Draw the mean histograms of a group's evaluated and held-out pieces."""
    own = version.encoding
    real = real_subjects(sets.group.held_out[:MOST_COMPARED], own)
    columns = [
        collect([measure(subject.notes, settings.extract) for subject in subjects])
        for subjects in (real, sets.samples[:MOST_COMPARED])
    ]
    charts = []
    for each in MEASURES:
        if each.distance is Distance.VALUES:
            continue
        means = [weighted_mean(table[each.name], np.ones((1, len(table))))[0] for table in columns]
        if np.isnan(means).all(axis=1).any():
            continue
        first, last = _used(means)
        labels = [(place - first, text) for place, text in _labels(each) if first <= place < last]
        shown = [np.nan_to_num(mean)[first:last].tolist() for mean in means]
        charts.append(Markup(two_histograms(each.title, each.meaning, shown[0], shown[1], labels)))
    return charts


def _used(means: Sequence[np.ndarray]) -> tuple[int, int]:
    """Return the first bin with a noticeable share in either set, and the one after the last."""
    used = np.flatnonzero(np.nan_to_num(np.maximum(*means)) > 1e-4)
    return (int(used[0]), int(used[-1]) + 1) if len(used) else (0, len(means[0]))


def _labels(measure: Measure) -> list[tuple[float, str]]:
    """Return places on a measure's axis, in bins, with their texts."""
    bins = range(measure.bins)
    if measure.name == "pitch":
        return [(key, pitch_name(key)) for key in bins if key % 12 == 0]
    if measure.name in ("onset_interval", "duration"):
        return [(index - 0.5, f"{2.0 ** (measure.first + (index - 0.5) / PER_OCTAVE):.2g} s") for index in bins[::8]]
    if measure.name == "groove":
        return [(beat * PER_BEAT, f"beat {beat + 1}") for beat in range(BEATS_PER_BAR)]
    if measure.name == "interval":
        return [(index, f"{index - WIDEST_INTERVAL:+d}") for index in bins if (index - WIDEST_INTERVAL) % 6 == 0]
    step = max(math.ceil(measure.bins / 12), 1)
    return [(index, f"{measure.centres[index]:g}") for index in bins[::step]]


def _number(value: float | None, unit: str = "") -> str:
    """Format a number for a table: shares in per cent, others in three digits."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _interval(estimate: Estimate | None, unit: str = "") -> str:
    if estimate is None:
        return "–"
    return f"{_number(estimate.value, unit)} [{_number(estimate.low, unit)}, {_number(estimate.high, unit)}]"


def _times(values: Mapping[str, float], name: str, floor: float) -> str:
    return f"{values[name] / floor:.1f}×" if name in values and floor > 0 else "–"


@cache
def _template() -> Template:
    return page_template("flows.evaluation", TEMPLATE, number=_number, interval=_interval, times=_times)
