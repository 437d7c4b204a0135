"""Measures of music: numbers and histograms that tell music from what is none, on notes, whatever made them.

`measure` gives the measures of one piece and `collect` those of a set of pieces; `MEASURES` defines them, with units
and sources, and `FIGURES` are shares and means of a set that a person reads. `distance` compares two sets, and
`Resampled` says how far a distance would vary with other pieces.

    definitions   every measure by name: its meaning, unit, source, and the distance between two sets of it
    passage       the part of a piece that is measured, with its onsets, beats and sounding notes
    pitches       measures of pitch: pitch classes, intervals, scale, runs
    times         measures of time: onsets, durations, density, groove, silence
    bars          likeness of the bars of a piece
    piece         all measures of a piece
    collection    the measures of a set of pieces, as arrays and as a table
    distances     distances between sets, resampled by piece
    figures       shares and means of a set

Definitions follow Yang and Lerch ("On the evaluation of generative models in music", 2018), MusPy (Dong et al., 2020)
and Wu and Yang ("The Jazz Transformer on the front line", 2020). Their packages loop over notes in Python and are no
longer maintained (MusPy's last release is of 2022), and none compares sets with an interval; so the measures are
computed here, a few array operations each, and scipy gives the distances between histograms.
"""

from tokenization.measures.collection import Collected, collect
from tokenization.measures.definitions import MEASURES, Distance, Measure, measure_named
from tokenization.measures.distances import Resampled, distance, resampled
from tokenization.measures.figures import FIGURES, Figure
from tokenization.measures.passage import Extract, Passage
from tokenization.measures.piece import PieceInfo, PieceMeasures, measure

__all__ = [
    "FIGURES",
    "MEASURES",
    "Collected",
    "Distance",
    "Extract",
    "Figure",
    "Measure",
    "Passage",
    "PieceInfo",
    "PieceMeasures",
    "Resampled",
    "collect",
    "distance",
    "measure",
    "measure_named",
    "resampled",
]
