"""The charts of the card, drawn from statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from flows.ingestion.card.charts import Tick, compact, histogram, named_bars
from flows.ingestion.card.tables import link_strengths
from flows.ingestion.music_statistics import HISTOGRAMS, Statistics
from tokenization.encodings import Encoding, Time
from tokenization.vocabulary import pitch_name

PROGRAM_FAMILIES = (
    *("piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass"),
    *("reed", "pipe", "synth lead", "synth pad", "synth effects", "ethnic", "percussive", "sound effects"),
)
"""Families of eight programs each (General MIDI level 1)."""
FAMILY_SIZE = 8
MOST_TICKS = 11
MOST_BARS = 24
STRENGTH_STEPS = 8
"""Bars of the strengths of links, each twice as wide as the one before."""


def piece_pictures(statistics: Statistics) -> list[str]:
    """Draw distributions over pieces."""
    return [
        _binned("Length", statistics, "piece_seconds", _clock, "minutes", "pieces"),
        _binned("Tempo", statistics, "tempo", compact, "quarter notes a minute", "pieces"),
        _binned("Density", statistics, "notes_per_second", compact, "notes a second", "pieces"),
        _binned("Polyphony", statistics, "sounding_notes", compact, "pitched notes sounding at a time", "pieces"),
    ]


def note_pictures(statistics: Statistics) -> list[str]:
    """Draw distributions over notes."""
    return [
        _numbered("Pitch", statistics["pitch"].tolist(), pitch_name, 12, "pitch", "notes"),
        _numbered("Velocity", statistics["velocity"].tolist(), str, 16, "MIDI velocity", "notes and drum hits"),
        _binned("Note length", statistics, "note_seconds", _seconds, "seconds", "notes"),
        _numbered("Drums", statistics["drum_key"].tolist(), str, 5, "General MIDI percussion key", "drum hits"),
    ]


def instrument_pictures(statistics: Statistics, manifest: pl.DataFrame) -> list[str]:
    """Draw the instruments by the number of their pieces and of their notes."""
    families = statistics["program"].reshape(-1, FAMILY_SIZE).sum(axis=1).tolist()
    notes = {name: count for name, count in zip(PROGRAM_FAMILIES, families) if count}
    drums = int(statistics["drum_key"].sum())
    of_notes = _largest(notes | ({"drums": drums} if drums else {}))
    accepted = manifest.filter(status="accepted")
    return [
        named_bars("Instruments of pieces", _families_of_pieces(accepted), "pieces", len(accepted)),
        named_bars("Instruments of notes", of_notes, "notes", statistics.notes),
    ]


def token_pictures(statistics: Statistics, encoding: Encoding) -> list[str]:
    """Draw distributions over tokens."""
    vocabulary = encoding.vocabulary
    instruments = {name: count for name, count in statistics.instrument_notes(vocabulary).items() if count}
    in_beats = encoding.time is Time.BEATS
    rate = vocabulary.ticks_per_beat if in_beats else vocabulary.ticks_per_second

    def waited(ticks: float) -> str:
        return f"{ticks / rate:.2f}" if in_beats else f"{ticks / rate * 1000:.0f}"

    return [
        named_bars("Kinds of tokens", statistics.token_kinds(vocabulary), "tokens", statistics.tokens),
        named_bars("Notes by the vocabulary's instruments", _largest(instruments), "notes", sum(instruments.values())),
        _binned("Tokens of a piece", statistics, "piece_tokens", _power_of_two, "tokens", "pieces"),
        _binned("Waits", statistics, "wait_ticks", waited, "beats" if in_beats else "milliseconds", "wait tokens"),
    ]


def links_picture(manifest: pl.DataFrame) -> str | None:
    """Draw the strength of the links that hold families together; None when there are none."""
    strengths = link_strengths(manifest)
    if not len(strengths):
        return None
    steps = range(STRENGTH_STEPS)
    bins = (strengths.clip(1).log(2).floor().cast(pl.Int64).clip(0, STRENGTH_STEPS - 1)).value_counts()
    counts = dict(bins.iter_rows())
    names = [f"{2**step}–{2 ** (step + 1)}" for step in steps[:-1]] + [f"{2 ** steps[-1]} and more"]
    ticks = [Tick(step, str(2**step)) for step in steps]
    values = [counts.get(step, 0) for step in steps]
    return histogram("Links of families", values, names, ticks, "evidence × similarity", "links")


def _families_of_pieces(accepted: pl.DataFrame) -> dict[str, int]:
    """Count the pieces in which each family of programs sounds."""
    family = pl.col("programs").list.eval(pl.element() // FAMILY_SIZE).list.unique().list.explode()
    counts = dict(accepted.select(family.alias("family")).drop_nulls().group_by("family").len().iter_rows())
    drums = int(accepted["drums"].sum() or 0)
    named = {PROGRAM_FAMILIES[index]: count for index, count in sorted(counts.items())}
    return _largest(named | ({"drums": drums} if drums else {}))


def _largest(values: dict[str, int]) -> dict[str, int]:
    """Sort by decreasing value, and sum those beyond MOST_BARS in one."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    rest = ordered[MOST_BARS:]
    return dict(ordered[:MOST_BARS]) | ({f"{len(rest)} more": sum(value for _, value in rest)} if rest else {})


def _binned(title: str, statistics: Statistics, name: str, form: Callable[[float], str], x: str, y: str) -> str:
    """Draw a histogram of `statistics`, without the empty bins at its ends."""
    edges, counts = HISTOGRAMS[name], statistics[name].tolist()
    first, last = _used(counts)
    names = [_between(edges, index, form) for index in range(first, last)]
    ticks = [Tick(index + 1 - first, form(edge)) for index, edge in enumerate(edges) if first < index + 1 < last]
    return histogram(title, counts[first:last], names, _thinned(ticks), x, y)


def _numbered(title: str, counts: Sequence[int], form: Callable[[int], str], step: int, x: str, y: str) -> str:
    """Draw a histogram of counts by number, without the empty ones at its ends."""
    first, last = _used(counts)
    ticks = [Tick(number - first + 0.5, form(number)) for number in range(-(-first // step) * step, last, step)]
    return histogram(title, counts[first:last], [form(number) for number in range(first, last)], ticks, x, y)


def _used(counts: Sequence[int]) -> tuple[int, int]:
    """Return the first bin with a count, and the one after the last."""
    used = [index for index, count in enumerate(counts) if count]
    return (used[0], used[-1] + 1) if used else (0, 1)


def _between(edges: Sequence[float], index: int, form: Callable[[float], str]) -> str:
    """Describe the range of bin `index`."""
    if index == 0:
        return f"below {form(edges[0])}"
    if index == len(edges):
        return f"{form(edges[-1])} and more"
    return f"{form(edges[index - 1])} to {form(edges[index])}"


def _thinned(ticks: Sequence[Tick]) -> list[Tick]:
    return list(ticks[:: max(-(-len(ticks) // MOST_TICKS), 1)])


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"


def _power_of_two(number: float) -> str:
    return f"{int(number):,}" if number < 2**14 else f"{int(number) // 1024} Ki"
