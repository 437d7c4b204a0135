"""Figures: shares and means of a set of pieces that say what a listener would complain of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokenization.measures.collection import Collected

LONG_RUN: Final = 50
"""Notes of one pitch in a row that are no music any more."""
LONG_SILENCE: Final = 4.0
"""Seconds."""
LONG_COPY: Final = 16
"""Notes."""


@dataclass(frozen=True)
class Figure:
    """A number of each piece, of which a set has the mean."""

    name: str
    title: str
    unit: str
    """`share` of pieces or of notes, or a unit."""
    of: Callable[[Collected], NDArray[np.float64]]
    """Values, shape (pieces,); NaN for a piece without."""


def _where(condition: NDArray[np.bool_], known: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(known), np.nan, condition.astype(np.float64))


def _mean_of(name: str, values: NDArray[np.float64]) -> Callable[[Collected], NDArray[np.float64]]:
    return lambda pieces: pieces[name] @ values


FIGURES: Final = (
    Figure("notes", "Notes measured", "notes", lambda pieces: pieces["notes"]),
    Figure("seconds", "Their length", "s", lambda pieces: pieces["seconds"]),
    Figure("notes_per_onset", "Notes per onset", "notes", _mean_of("notes_per_onset", np.arange(1.0, 17.0))),
    Figure("density", "Notes a second", "notes/s", _mean_of("density", np.arange(0.0, 40.5, 0.5))),
    Figure("polyphony", "Pitched notes sounding at a time", "notes", _mean_of("polyphony", np.arange(17.0))),
    Figure("scale_share", "Notes in the best-fitting scale", "share", lambda pieces: pieces["scale_share"]),
    Figure("recurrence", "Likeness of bars with earlier ones", "cosine", lambda pieces: pieces["recurrence"]),
    Figure(
        "long_runs",
        f"Pieces with a run of one pitch of {LONG_RUN} notes or more",
        "share",
        lambda pieces: _where(pieces["longest_run_notes"] >= LONG_RUN, pieces["longest_run_notes"]),
    ),
    Figure("capped_notes", "Pitched notes at the cap", "share", lambda pieces: pieces["capped"]),
    Figure(
        "capped_pieces",
        "Pieces with a note at the cap",
        "share",
        lambda pieces: _where(pieces["capped"] > 0, pieces["capped"]),
    ),
    Figure(
        "silences",
        f"Pieces with a silence of {LONG_SILENCE:g} s or more",
        "share",
        lambda pieces: _where(pieces["longest_silence"] >= LONG_SILENCE, pieces["longest_silence"]),
    ),
    Figure(
        "hanging",
        "Pieces with notes sounding at the end of their tokens",
        "share",
        lambda pieces: _where(pieces["sounding_at_end"] > 0, pieces["sounding_at_end"]),
    ),
    Figure(
        "all_asked",
        "Pieces in which all asked groups sound",
        "share",
        lambda pieces: _where(pieces["asked_sounding"] >= 1, pieces["asked_sounding"]),
    ),
    Figure(
        "copies",
        f"Pieces with a copy of {LONG_COPY} notes or more",
        "share",
        lambda pieces: _where(pieces["copied"] >= np.log2(1 + LONG_COPY), pieces["copied"]),
    ),
)
"""In the order of reports."""
