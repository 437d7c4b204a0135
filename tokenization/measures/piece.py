"""All measures of a piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.measures import bars, pitches, times
from tokenization.measures.passage import Extract, Passage
from tokenization.midi.notes import Notes

LONGEST_NOTE = 8.0
"""Seconds after which generation ends a note unless asked otherwise."""


@dataclass(frozen=True)
class PieceInfo:
    """What is known of a piece beyond its notes; NaN where it is not known."""

    sounding_at_end: float = float("nan")
    """Notes whose end is not written."""
    asked_sounding: float = float("nan")
    """Share of the groups that its header names that sound, 0–1."""
    copied_notes: float = float("nan")
    """Of the longest copy of a training piece; 0 where there is none."""


@dataclass(frozen=True)
class PieceMeasures:
    """The measures of one piece, and its size."""

    values: Mapping[str, NDArray[np.float64] | float]
    """By the names of MEASURES: a histogram or profile, shape (bins,), or a value. NaN where there is none."""
    notes: int
    """Notes that were measured, drum hits included."""
    seconds: float
    """From the first of them to the end of the last."""
    longest_run: float
    """Notes of the longest run of one pitch."""


def measure(
    notes: Notes,
    extract: Extract | None = None,
    info: PieceInfo | None = None,
    cap: float = LONGEST_NOTE,
    in_beats: bool = False,
) -> PieceMeasures:
    """Measure a piece, notes in any order.

    `cap`: the longest note that generation allows, in seconds; `in_beats`: of notes whose ticks are parts of a beat, so
    that it counts beats of half a second.
    """
    info = info or PieceInfo()
    passage = Passage((extract or Extract()).of(notes))
    classes = pitches.pitch_classes(passage)
    alike = bars.bar_measures(passage)
    run = pitches.longest_run(passage)
    values: dict[str, NDArray[np.float64] | float] = {
        "pitch": pitches.pitch(passage),
        "pitch_class": pitches.relative_pitch_classes(classes),
        "interval": pitches.intervals(passage),
        "harmony": pitches.harmony(passage),
        "onset_interval": times.onset_intervals(passage),
        "duration": times.durations(passage),
        "notes_per_onset": times.notes_per_onset(passage),
        "density": times.density(passage),
        "polyphony": times.polyphony(passage),
        "groove": times.groove(passage),
        "self_similarity": alike.self_similarity,
        "bar_order": alike.order,
        "recurrence": alike.recurrence,
        "pitch_entropy": pitches.entropy(classes),
        "scale_share": pitches.scale_share(classes),
        "groove_consistency": alike.groove_consistency,
        "onset_grid": times.onset_grid(passage),
        "longest_run": float(np.log2(max(run, 1.0))),
        "longest_stay": pitches.longest_stay(passage),
        "longest_silence": times.longest_silence(passage),
        "capped": times.capped(passage, cap, in_beats),
        "sounding_at_end": info.sounding_at_end,
        "asked_sounding": info.asked_sounding,
        "copied": float(np.log2(1.0 + info.copied_notes)),
    }
    lasting = float(passage.end.max() - passage.notes.onset[0]) if len(passage.notes) else 0.0
    return PieceMeasures(values, len(passage.notes), lasting, run)
