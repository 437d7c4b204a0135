"""The likelihood of real pieces that a model has not seen: a row for each piece, and the figures of a set of them.

A set is resampled by family with the rows of all models alike, so that the differences of two models are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.evaluation.groups import UNLABELLED, RealPiece
from flows.evaluation.report import ALL, Estimate, LikelihoodReport
from infra.files import staging_file
from modeling.generation import ModelBundle, log_likelihoods
from tokenization.dataset import TokenFormat
from tokenization.encodings import Encoding
from tokenization.measures.distances import CONFIDENCE, Weights, draw_weights

AT_ONCE = 16
"""Pieces between two reports of progress."""
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Ratio:
    """A figure of a set of pieces: their loss together by something else of theirs together."""

    name: str
    title: str
    unit: str
    column: str
    """What the loss is divided by."""
    scale: float = 1.0


RATIOS: Final = (
    Ratio("nats_per_note", "Nats per note", "nats", "notes"),
    Ratio("nats_per_token", "Nats per token", "nats", "tokens"),
    Ratio("bits_per_second", "Bits a second", "bits/s", "seconds", 1 / math.log(2)),
)


def read_likelihoods(
    file: Path,
    bundle: Callable[[], ModelBundle],
    encoding: Encoding,
    held_out: Encoding,
    pieces: Sequence[RealPiece],
    on_progress: Progress,
) -> pl.DataFrame:
    """Return a table with style, family, loss in nats, tokens, notes and seconds of each piece, kept in `file`.

    `encoding`: the model's, in which the pieces, which have `held_out`, are encoded anew where it is another. The
    network is asked for only if there is no file. Raises VocabularyError for a style that the model does not have.
    """
    if file.exists():
        on_progress(len(pieces))
        return pl.read_parquet(file)
    is_alike = TokenFormat.of(encoding) == TokenFormat.of(held_out)
    tokens, seconds = [], []
    for piece in pieces:
        notes = held_out.decode(piece.tokens)
        tokens.append(piece.tokens if is_alike else encoding.encode(notes, piece.style))
        seconds.append(notes.seconds)
    loaded = bundle()
    found = np.zeros((2, 0))
    for first in range(0, len(pieces), AT_ONCE):
        part = tokens[first : first + AT_ONCE]
        sums = log_likelihoods(loaded.model, encoding, part, [len(piece) for piece in part])
        found = np.concatenate([found, sums], axis=1)
        on_progress(len(part))
    table = pl.DataFrame(
        {
            "style": [piece.style or UNLABELLED for piece in pieces],
            "piece": [piece.piece_id for piece in pieces],
            "family": [piece.family for piece in pieces],
            "nats": -found[0],
            "tokens": found[1],
            "notes": [float(encoding.effects.onsets[piece].sum()) for piece in tokens],
            "seconds": seconds,
        }
    )
    with staging_file(file) as staged:
        table.write_parquet(staged)
    return table


def parts_of(table: pl.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Return the rows of ALL and of each style."""
    styles = table["style"].to_numpy()
    return {ALL: np.ones(len(table), bool), **{style: styles == style for style in table["style"].unique().sort()}}


def draw_families(table: pl.DataFrame, resamples: int, seed: int) -> Weights:
    """Return how often each row is drawn in so many draws with replacement, from each style as many as it has."""
    weights = np.zeros((resamples, len(table)))
    for number, (name, rows) in enumerate(parts_of(table).items()):
        if name != ALL:
            weights[:, rows] = draw_weights(int(rows.sum()), resamples, np.random.default_rng([seed, 3, number]))
    return weights


def ratio_of(ratio: Ratio, table: pl.DataFrame, rows: NDArray[np.bool_], weights: Weights) -> NDArray[np.float64]:
    """Return a figure of some rows for each row of weights."""
    loss, by = (table[column].to_numpy()[rows] for column in ("nats", ratio.column))
    found: NDArray[np.float64] = ratio.scale * (weights[:, rows] @ loss) / np.maximum(weights[:, rows] @ by, 1e-9)
    return found


def likelihood_reports(table: pl.DataFrame, resamples: int, seed: int) -> list[LikelihoodReport]:
    """Return the figures of ALL and of each style, with intervals over families; nothing without pieces."""
    if not len(table):
        return []
    weights, once = draw_families(table, resamples, seed), np.ones((1, len(table)))
    reports = []
    for name, rows in parts_of(table).items():
        figures = {}
        for ratio in RATIOS:
            low, high = np.quantile(
                ratio_of(ratio, table, rows, weights), ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
            ).tolist()
            value = float(ratio_of(ratio, table, rows, once)[0])
            figures[ratio.name] = Estimate(value=value, low=low, high=high)
        reports.append(LikelihoodReport(group=name, families=int(rows.sum()), **figures))
    return reports
