"""Seams in long composed pieces: whether anything is to be seen where the window of a full context moves on.

    python tests/benchmarks/long_pieces.py [--lake DIR] [--model champion] [--pieces 8] [--tokens 16384] [--json F]

Pieces for all instruments of the model are composed, BATCH in each of its styles in turn. The network's loss of every
token, in the very window in which it was drawn, and the notes a second are compared between the parts of the way from
each move of the window to the next: a seam would stand out in the first part. So is the loss of the tokens directly
behind a move. All are given as differences to the mean of the way, with the standard error over moves. Bars: none is
farther from the mean than three standard errors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from past_context import SEAM, places, window_losses
from report import Bar, circumstances, show_bars, table, write_json

from modeling.generation.pieces import KEPT, window_begin
from modeling.network.transformer import MuseNet
from registry import load
from registry.requests import PieceRequest
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.effects import TEMPO
from tokenization.vocabulary import Tokens

BATCH = 4
PARTS = 4
"""Of the way from a move to the next."""
MOST_ERRORS = 3.0
MISSING = 1.0
"""Nats by which an instrument that has long been silent becomes likelier, so that all of them play."""

Figures = NDArray[np.float64]


def losses_of(model: MuseNet, encoding: Encoding, piece: Tokens, planned: int) -> Figures:
    """Return the loss of each token of a piece in the windows of its generation, NaN within the first context."""
    context = model.config.context
    begins = np.array([window_begin(filled, context) for filled in range(len(piece))])
    out = np.full(len(piece), np.nan)
    for begin in np.unique(begins[context + 1 :]):
        own = np.flatnonzero(begins == begin)
        out[own] = window_losses(model, encoding, [piece], int(begin), planned)[0][HEADER + own - 1 - begin]
    out[: context + 1] = np.nan
    return out


def seconds_of(encoding: Encoding, piece: Tokens) -> Figures:
    """Return the time in seconds that passes with each token."""
    kind, value = encoding.effects.table.kind[piece], encoding.effects.table.value[piece]
    latest = np.maximum.accumulate(np.where(kind == TEMPO, np.arange(len(piece)), 0))
    seconds: Figures = encoding.effects.ticks[piece] / encoding.speeds[value[latest]]
    return seconds


def sums(values: Figures, context: int) -> Figures:
    """Return the sums of the tokens' values in the parts of the way behind each move, shape (moves, PARTS)."""
    since, until = places(context, len(values), KEPT)
    known = since >= 0
    move = np.cumsum(since == 0)[known] - 1
    part = PARTS * since[known] // (since + until + 1)[known]
    return np.bincount(move * PARTS + part, values[known]).reshape(-1, PARTS)


def behind_moves(losses: Figures, context: int) -> Figures:
    """Return how much more the tokens directly behind each move cost than all behind moves, shape (moves,)."""
    since, _ = places(context, len(losses), KEPT)
    size = int(SEAM * context)
    near = [losses[start : start + size].mean() for start in np.flatnonzero(since == 0)]
    return np.array(near) - losses[since >= 0].mean()


def mean_and_error(found: Figures) -> tuple[Figures, Figures]:
    """Return the mean over moves and its standard error."""
    return found.mean(axis=0), found.std(axis=0, ddof=1) / len(found) ** 0.5


@torch.inference_mode()
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lake")
    arguments.add_argument("--model", default="champion")
    arguments.add_argument("--pieces", type=int, default=8)
    arguments.add_argument("--tokens", type=int, default=16384)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    composer = load(options.model, lake=options.lake)
    encoding, model = composer.encoding, composer.bundle.model
    context = model.config.context
    instruments = [each.name for each in encoding.vocabulary.instruments]
    losses, densities, seams, minutes, heard = [], [], [], [], []
    for number in range(0, options.pieces, BATCH):
        style = composer.styles[number // BATCH % len(composer.styles)]
        request = PieceRequest(
            style=style,
            instruments=tuple(instruments),
            length=options.tokens,
            best_of=min(BATCH, options.pieces - number),
            rank="none",
            seed=number,
            missing=MISSING,
        )
        for piece in composer.candidates(request):
            tokens = piece.tokens
            own = losses_of(model, encoding, tokens, options.tokens)
            each = sums(own, context) / sums(np.ones(len(tokens)), context)
            losses.append(each - each.mean(axis=1, keepdims=True))
            onsets, passed = encoding.effects.onsets[tokens].astype(np.float64), seconds_of(encoding, tokens)
            rate = sums(onsets, context) / sums(passed, context)
            densities.append(rate / rate.mean(axis=1, keepdims=True) - 1)
            seams.append(behind_moves(own, context))
            minutes.append(piece.seconds / 60)
            heard.append(int(encoding.vocabulary.instruments_in(encoding.read(tokens).row).sum()))
            told = f"{style}: {len(tokens)} tokens, {minutes[-1]:.1f} min, {heard[-1]} instruments"
            print(told, f"{np.nanmean(own):.3f} nats a token", file=sys.stderr, flush=True)
    loss, loss_error = mean_and_error(np.concatenate(losses))
    density, density_error = mean_and_error(np.concatenate(densities))
    seam, seam_error = mean_and_error(np.concatenate(seams))
    heads = ["from a move to the next", *(f"{part + 1}/{PARTS}" for part in range(PARTS))]
    rows = [
        ["nats a token", *(f"{value:+.4f} ± {error:.4f}" for value, error in zip(loss, loss_error))],
        ["notes a second", *(f"{value:+.2%} ± {error:.2%}" for value, error in zip(density, density_error))],
    ]
    print(table(heads, rows))
    moves = sum(map(len, seams))
    print(f"the first {SEAM * context:.0f} tokens behind a move: {seam:+.4f} ± {seam_error:.4f} nats a token")
    print(
        f"{len(seams)} pieces of {options.tokens} tokens, {min(minutes):.1f} to {max(minutes):.1f} min, {moves} moves"
    )
    print(f"{np.mean(heard):.1f} of {len(instruments)} instruments in the mean")
    bars = [
        Bar(f"{MOST_ERRORS:g} standard errors less those by which {what} differs", MOST_ERRORS - float(errors), 0.0)
        for what, errors in (
            ("the loss of a part", np.abs(loss / loss_error).max()),
            ("the loss behind a move", abs(seam / seam_error)),
            ("the density of a part", np.abs(density / density_error).max()),
        )
    ]
    if options.json:
        figures = {
            "pieces": len(seams),
            "moves": moves,
            "loss": [loss.tolist(), loss_error.tolist()],
            "density": [density.tolist(), density_error.tolist()],
            "seam": [float(seam), float(seam_error)],
        }
        write_json(options.json, circumstances(torch.device("cpu")), figures, bars)
    sys.exit(show_bars(bars))


if __name__ == "__main__":
    main()
