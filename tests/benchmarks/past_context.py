"""Loss behind the context's end, by what generation does when the context is full.

    python tests/benchmarks/past_context.py --model DIR --dataset DIR [--pieces 16] [--contexts 4]

`DIR` are the folders of a trained model with rotary positions (`lake/runs/RUN/model`) and of a dataset version; pieces
are those of validation and test that are long enough, from their beginnings. Every method predicts the same tokens:

    jump      the header, then the latest music of a share of a context; again whenever the context is full
    slide     the cache keeps the latest context of keys, positions count on; what left is gone
    sinks     the same, and the header stays, seen from as far as the context is long (Xiao et al., 2024)
    ideal     anew for each token the header and the latest music that fits, as no cache can (each eighth token)

Loss in nats a token over tokens behind the first context, as a difference to `ideal` token by token with its standard
error over pieces; the same at the seam, which are the tokens just behind a move, a sixteenth of a context, and just
before the next move. The cost is in tokens that go through the network for each that is drawn. Layouts stay as they
are. `long_pieces.py` looks for seams in composed pieces.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from report import circumstances, table, write_json
from torch import Tensor

from modeling.data import collate
from modeling.data.split import load_split
from modeling.generation.pieces import window_begin
from modeling.network import block
from modeling.network.rotary import rotation
from modeling.network.sparsity import Layout
from modeling.network.transformer import MuseNet
from modeling.network.weights import load_model
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

Losses = NDArray[np.float64]
"""Loss of each token, shape (pieces, tokens), those up to the context left out as NaN."""
BATCH = 4
EVERY = 8
"""Tokens from one prediction of `ideal` to the next."""
SHARES = (1 / 2, 3 / 4, 7 / 8)
"""Shares of a context that a jump keeps."""
SEAM = 1 / 16
"""Share of a context."""


def window_losses(
    model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], begin: int, planned: int | None = None
) -> NDArray[np.float32]:
    """Losses within the window of a header and the tokens from `begin` on, shape (pieces, context).

    `planned`: tokens of each piece, where it has ended earlier or later.
    """
    found = []
    for first in range(0, len(pieces), BATCH):
        some = pieces[first : first + BATCH]
        lengths = [planned or len(piece) for piece in some]
        batch, targets = collate(some, [begin - HEADER] * len(some), model.config.context, encoding, lengths)
        found.append(model(batch, targets, reduce=False).float().numpy())
    return np.concatenate(found)


def jump(model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], tokens: int, kept: float) -> Losses:
    context = model.config.context
    out = np.full((len(pieces), tokens), np.nan)
    for begin in sorted({window_begin(filled, context, kept) for filled in range(context + 1, tokens)}):
        losses = window_losses(model, encoding, pieces, begin)
        for filled in range(context + 1, tokens):
            if window_begin(filled, context, kept) == begin:
                out[:, filled] = losses[:, HEADER + filled - 1 - begin]
    return out


def ideal(model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], tokens: int, every: int = EVERY) -> Losses:
    context = model.config.context
    out = np.full((len(pieces), tokens), np.nan)
    for filled in range(context + 1, tokens, every):
        out[:, filled] = window_losses(model, encoding, pieces, HEADER + filled - context)[:, -1]
    return out


@contextmanager
def sliding_attention(context: int, sinks: bool) -> Iterator[None]:
    """Let the network's attention see keys at most a context away, and with `sinks` the header as if it were there."""

    def attend(_: str, layout: Layout, q: Tensor, k: Tensor, v: Tensor, __: Tensor | None = None) -> Tensor:
        length, size = q.shape[2], q.shape[3]
        position = torch.arange(length)
        near = position[:, None] - position < context
        group = q.shape[1] // k.shape[1]
        k, v = (x.repeat_interleave(group, 1) for x in (k, v))
        scores = q @ k.transpose(2, 3)
        if sinks:
            nearer = rotation((context - 1 - position).clamp(max=0), size, q.dtype)(q)
            scores[..., :HEADER] = nearer @ k[:, :, :HEADER].transpose(2, 3)
            near = near | (position < HEADER)
        kept = layout.mask(length) & near
        return (scores / size**0.5).masked_fill(~kept, -torch.inf).softmax(-1) @ v

    before = block.attention
    block.attention = attend  # type: ignore[assignment]
    try:
        yield
    finally:
        block.attention = before


def slide(model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], tokens: int, sinks: bool) -> Losses:
    context = model.config.context
    out = np.full((len(pieces), tokens), np.nan)
    with sliding_attention(context, sinks):
        for index, piece in enumerate(pieces):
            batch, targets = collate([piece], [0], tokens - 1, encoding, [len(piece)])
            losses = model(batch, targets, reduce=False).float().numpy()[0]
            out[index, context + 1 :] = losses[context:]
    return out


def places(context: int, tokens: int, kept: float) -> NDArray[np.int64]:
    """Tokens since the last move, and up to the next one, at each token; -1 within the first context; (2, tokens)."""
    begins = np.array([window_begin(filled, context, kept) for filled in range(tokens)])
    moves = np.flatnonzero(np.diff(begins)) + 1
    at = np.arange(tokens)
    since, last = np.full((2, tokens), -1), np.searchsorted(moves, at, side="right") - 1
    known = (last >= 0) & (last + 1 < len(moves))
    since[0, known] = at[known] - moves[last[known]]
    since[1, known] = moves[last[known] + 1] - 1 - at[known]
    return since


def difference(losses: Losses, ideal: Losses, where: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean difference over some tokens, and its standard error over pieces."""
    found = (losses - ideal)[:, where & ~np.isnan(ideal[0])].mean(1)
    return float(found.mean()), float(found.std() / len(found) ** 0.5)


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description="Loss behind the context's end.")
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained model")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a dataset version")
    parser.add_argument("--pieces", type=int, default=16, help="pieces at most (default 16)")
    parser.add_argument("--contexts", type=int, default=4, help="contexts that a piece is long (default 4)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    model = load_model(arguments.model)
    if model.config.positions != "rotary":
        print("the model has learned positions: they end with the context, so that only `jump` exists", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    splits = [load_split(arguments.dataset, name) for name in ("validation", "test")]
    context = model.config.context
    tokens = arguments.contexts * context
    pieces = [piece for split in splits for piece in split.pieces if len(piece) > tokens][: arguments.pieces]
    encoding = splits[0].encoding
    methods = {f"jump, {share:g} kept": partial(jump, kept=share) for share in SHARES}
    methods |= {"slide": partial(slide, sinks=False), "sinks": partial(slide, sinks=True), "ideal": ideal}
    losses = {}
    for name, method in methods.items():
        losses[name] = method(model, encoding, pieces, tokens)
        print(f"{name}: {np.nanmean(losses[name]):.4f}", file=sys.stderr)
    best = losses.pop("ideal")
    share_of = dict(zip(losses, SHARES))
    everywhere = np.ones(tokens, np.bool_)
    rows, figures = [], {}
    for name, found in losses.items():
        mean, error = difference(found, best, everywhere)
        row = [name, f"{np.nanmean(found):.4f}", f"{mean:+.4f} ± {error:.4f}", "", "", "1"]
        figures[name] = {"loss": float(np.nanmean(found)), "more": mean, "error": error}
        if name in share_of:
            since, until = places(context, tokens, share_of[name])
            behind, before = (difference(found, best, (at >= 0) & (at < SEAM * context)) for at in (since, until))
            cost = share_of[name] / (1 - share_of[name]) + 1
            row[3:] = [f"{value:+.4f} ± {error:.4f}" for value, error in (behind, before)] + [f"{cost:.0f}"]
            figures[name] |= {"behind": behind[0], "behind_error": behind[1], "before": before[0]}
        rows.append(row)
    heads = ("method", "loss", "more than ideal", "just behind a move", "just before one", "cost")
    print(table(heads, rows))
    print(f"ideal: {np.nanmean(best):.4f}; {len(pieces)} pieces of {tokens} tokens, context {context}, ", end="")
    print(f"{model.config.sparsity.mode} attention")
    if arguments.json:
        write_json(arguments.json, circumstances(torch.device("cpu")), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
