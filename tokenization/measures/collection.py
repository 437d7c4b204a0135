"""The measures of a set of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokenization.measures.definitions import MEASURES
from tokenization.measures.piece import PieceMeasures

SIZES = ("notes", "seconds", "longest_run_notes")
"""Columns of a table beside the measures."""


@dataclass(frozen=True)
class Collected:
    """Measures as columns, a row for each piece."""

    columns: dict[str, NDArray[np.float64]]
    """By the names of MEASURES, shape (pieces, bins) or (pieces,), and SIZES; NaN where a piece has no value."""

    def __len__(self) -> int:
        return len(self.columns[SIZES[0]])

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.columns[name]

    def to_table(self) -> pl.DataFrame:
        """Return a table with a row for each piece; histograms are lists, and what a piece has not is null."""
        series = []
        for name in (*SIZES, *(measure.name for measure in MEASURES)):
            column = self.columns[name]
            if column.ndim == 1:
                series.append(pl.Series(name, column, pl.Float64).fill_nan(None))
            else:
                rows = [None if np.isnan(row).all() else row.tolist() for row in column]
                series.append(pl.Series(name, rows, pl.List(pl.Float64)))
        return pl.DataFrame(series)


def collect(pieces: Sequence[PieceMeasures]) -> Collected:
    """Return the measures of pieces as columns."""
    columns: dict[str, NDArray[np.float64]] = {
        "notes": np.array([piece.notes for piece in pieces], np.float64),
        "seconds": np.array([piece.seconds for piece in pieces], np.float64),
        "longest_run_notes": np.array([piece.longest_run for piece in pieces], np.float64),
    }
    for measure in MEASURES:
        shape = (len(pieces), measure.bins) if measure.bins else (len(pieces),)
        columns[measure.name] = np.array([piece.values[measure.name] for piece in pieces], np.float64).reshape(shape)
    return Collected(columns)
