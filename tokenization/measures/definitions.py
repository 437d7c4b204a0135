"""The measures by name: meaning, unit, source, and the distance between two sets of pieces.

A measure is a histogram (shares of a piece's notes, onsets or time by bin), a profile (a value for each of some lags),
or a single value. Of a set of pieces the first two are averaged, every piece counting as much as another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from infra.errors import unknown_name

YANG_LERCH = "Yang and Lerch, 2018 (mgeval)"
MUSPY = "Dong et al., 2020 (MusPy)"
WU_YANG = "Wu and Yang, 2020 (MusDr)"
OWN = "musenet"

TONES: Final = 12
WIDEST_INTERVAL: Final = 24
"""Semitones; wider intervals count as this wide."""
MOST_TOGETHER: Final = 16
"""Notes of an onset, and notes that sound at a time; more count as this many."""
DENSEST: Final = 40
"""Notes a second; more count as this many."""
PER_OCTAVE: Final = 4
"""Bins of times for each doubling."""
SHORTEST_TIME, LONGEST_TIME = 2.0**-6, 2.0**4
"""Seconds between which times are told apart."""
PER_BEAT: Final = 12
"""Positions in a beat, which tell sixteenths and triplets apart."""
BEATS_PER_BAR: Final = 4
"""All bars are taken to have four beats, as the tokens say nothing of metres."""
STAYED: Final = 3
"""Pitch classes on which music may stay, those of a triad."""
LAGS: Final = 8
"""Bars up to which bars are compared with later ones."""


class Distance(StrEnum):
    """Kinds of distances between sets of pieces."""

    JENSEN_SHANNON = "jensen_shannon"
    """Of two mean histograms: the root of the Jensen–Shannon divergence in bits, 0–1."""
    EARTH_MOVER = "earth_mover"
    """Of two mean histograms whose bins are in order: the first Wasserstein distance, in the measure's unit."""
    PROFILE = "profile"
    """Of two mean profiles: the mean absolute difference."""
    VALUES = "values"
    """Of the values of two sets: the first Wasserstein distance, in the measure's unit."""


@dataclass(frozen=True)
class Measure:
    """One measure of a piece."""

    name: str
    title: str
    unit: str
    """Of its distance; empty where that has none."""
    distance: Distance
    meaning: str
    source: str
    bins: int = 0
    """Of a histogram or profile; 0 for a single value."""
    step: float = 1.0
    """Width of a bin in the unit, for `EARTH_MOVER`."""
    first: float = 0.0
    """Value of the first bin's middle, for axes."""

    @property
    def is_value(self) -> bool:
        """True for a single value per piece."""
        return self.bins == 0

    @property
    def centres(self) -> list[float]:
        """The middle of every bin, in the unit of the axis."""
        return [self.first + self.step * number for number in range(self.bins)]


TIME_BINS: Final = int(np.log2(LONGEST_TIME / SHORTEST_TIME)) * PER_OCTAVE
_FIRST_TIME = float(np.log2(SHORTEST_TIME)) + 0.5 / PER_OCTAVE
_JS, _EM = Distance.JENSEN_SHANNON, Distance.EARTH_MOVER

MEASURES: Final = (
    Measure("pitch", "Pitch", "semitones", _EM, "pitched notes by MIDI key", YANG_LERCH, 128),
    Measure(
        *("pitch_class", "Pitch class", "", _JS),
        "pitched notes by pitch class, counted from the tonic of the major scale that holds most of them",
        *(YANG_LERCH, TONES),
    ),
    Measure(
        *("interval", "Interval", "", _JS),
        "semitones from one onset's highest note to the next one's, within a program",
        *(YANG_LERCH, 2 * WIDEST_INTERVAL + 1, 1.0, -float(WIDEST_INTERVAL)),
    ),
    Measure(
        *("harmony", "Harmony", "", _JS),
        "at each onset the sounding pitched notes by their interval above the lowest, modulo 12",
        *(OWN, TONES),
    ),
    Measure(
        *("onset_interval", "Onset interval", "", _JS),
        "seconds between successive onsets, in quarter octaves",
        *(YANG_LERCH, TIME_BINS, 1 / PER_OCTAVE, _FIRST_TIME),
    ),
    Measure(
        *("duration", "Duration", "", _JS),
        "seconds of pitched notes, in quarter octaves",
        *(YANG_LERCH, TIME_BINS, 1 / PER_OCTAVE, _FIRST_TIME),
    ),
    Measure(
        *("notes_per_onset", "Notes per onset", "notes", _EM),
        "onsets by the notes and drum hits that start together",
        *(OWN, MOST_TOGETHER, 1.0, 1.0),
    ),
    Measure(
        *("density", "Density", "notes/s", _EM),
        "windows of two seconds by the notes and drum hits that start in them",
        *(YANG_LERCH, 2 * DENSEST + 1, 0.5),
    ),
    Measure(
        *("polyphony", "Polyphony", "notes", _EM),
        "time by the pitched notes that sound, silence included",
        *(MUSPY, MOST_TOGETHER + 1),
    ),
    Measure(
        *("groove", "Groove", "", _JS),
        "onsets by their position in a bar of four beats, in twelfths of a beat",
        *(YANG_LERCH, BEATS_PER_BAR * PER_BEAT, 1 / PER_BEAT),
    ),
    Measure(
        *("self_similarity", "Self-similarity", "", Distance.PROFILE),
        "likeness of bars with those 1 to 8 bars later: cosine of their onsets by pitch class and sixteenth",
        *(WU_YANG, LAGS, 1.0, 1.0),
    ),
    Measure(
        *("bar_order", "Order of bars", "", Distance.VALUES),
        "likeness of neighbouring bars beyond that of all pairs: cosine of their notes by pitch, near ones included",
        OWN,
    ),
    Measure(
        *("recurrence", "Recurrence", "", Distance.VALUES),
        "likeness of a bar with the most similar one before it, averaged over bars",
        OWN,
    ),
    Measure("pitch_entropy", "Pitch-class entropy", "bits", Distance.VALUES, "entropy of the pitch classes", WU_YANG),
    Measure(
        *("scale_share", "Scale", "share", Distance.VALUES),
        "share of pitched notes in the major or harmonic minor scale that holds most",
        MUSPY,
    ),
    Measure(
        *("groove_consistency", "Groove consistency", "", Distance.VALUES),
        "likeness of neighbouring bars' sixteenths with onsets: 1 less the share that differs",
        WU_YANG,
    ),
    Measure(
        *("onset_grid", "Onsets off the grid", "twelfths of a beat", Distance.VALUES),
        "mean distance of onsets from the nearest twelfth of a beat",
        OWN,
    ),
    Measure(
        *("longest_run", "Longest run", "doublings", Distance.VALUES),
        "notes of the longest run of one pitch within a program, as a power of two",
        OWN,
    ),
    Measure(
        *("longest_stay", "Longest stay", "s", Distance.VALUES),
        f"longest time in which no more than {STAYED} pitch classes are struck",
        OWN,
    ),
    Measure(
        *("longest_silence", "Longest silence", "s", Distance.VALUES),
        "longest time inside the piece in which nothing sounds",
        OWN,
    ),
    Measure(
        *("capped", "Notes at the cap", "share", Distance.VALUES),
        "share of pitched notes that last as long as generation allows, or longer",
        OWN,
    ),
    Measure(
        *("sounding_at_end", "Sounding at the end", "notes", Distance.VALUES),
        "notes whose end is not written when the tokens end",
        OWN,
    ),
    Measure(
        *("asked_sounding", "Asked instruments", "share", Distance.VALUES),
        "share of the instrument groups named by the header that sound",
        OWN,
    ),
    Measure(
        *("copied", "Copying", "doublings", Distance.VALUES),
        "notes of the longest copy of a training piece, plus one, as a power of two",
        OWN,
    ),
)
"""All measures, in the order of reports."""
_BY_NAME = {measure.name: measure for measure in MEASURES}


def measure_named(name: str) -> Measure:
    """Return a measure. Raises UserError for a name that does not exist."""
    if name not in _BY_NAME:
        raise unknown_name("measure", name, _BY_NAME)
    return _BY_NAME[name]
