"""Loss behind the context's end, by what generation does when the context is full.

    python tests/benchmarks/past_context.py --model DIR --dataset DIR [--pieces 24] [--contexts 4] [--json FILE]

`DIR` are the folders of a trained model with rotary positions (`lake/runs/RUN/model`) and of a dataset version; pieces
are those of validation and test that are long enough, from their beginnings. Every method predicts the same tokens:

    jump      the header, then the latest half of a context; again whenever it is full
    slide     the cache keeps the latest context of keys, positions count on; what left is gone
    sinks     the same, and the header stays, seen from as far as the context is long (Xiao et al., 2024)
    ideal     anew for each token the header and the latest music that fits, as no cache can (each tenth token)

Loss in nats a token over tokens behind the first context, and for `jump` over the first and the last quarter of each
window. Layouts stay as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def window_losses(model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], begin: int) -> NDArray[np.float32]:
    """Losses within the window of a header and the tokens from `begin` on, shape (pieces, context)."""
    found = []
    for first in range(0, len(pieces), BATCH):
        some = pieces[first : first + BATCH]
        lengths = [len(piece) for piece in some]
        batch, targets = collate(some, [begin - HEADER] * len(some), model.config.context, encoding, lengths)
        found.append(model(batch, targets, reduce=False).float().numpy())
    return np.concatenate(found)


def jump(model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], tokens: int) -> Losses:
    context = model.config.context
    out = np.full((len(pieces), tokens), np.nan)
    for begin in sorted({window_begin(filled, context) for filled in range(context + 1, tokens)}):
        losses = window_losses(model, encoding, pieces, begin)
        for filled in range(context + 1, tokens):
            if window_begin(filled, context) == begin:
                out[:, filled] = losses[:, HEADER + filled - 1 - begin]
    return out


def ideal(model: MuseNet, encoding: Encoding, pieces: Sequence[Tokens], tokens: int, every: int = 10) -> Losses:
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


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description="Loss behind the context's end.")
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained model")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a dataset version")
    parser.add_argument("--pieces", type=int, default=24, help="pieces at most (default 24)")
    parser.add_argument("--contexts", type=int, default=4, help="contexts that a piece is long (default 4)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    model = load_model(arguments.model)
    if model.config.positions != "rotary":
        print("the model has learned positions: they end with the context, so that only `jump` exists", file=sys.stderr)
        return 2
    splits = [load_split(arguments.dataset, name) for name in ("validation", "test")]
    tokens = arguments.contexts * model.config.context
    pieces = [piece for split in splits for piece in split.pieces if len(piece) > tokens][: arguments.pieces]
    encoding = splits[0].encoding
    losses = {
        "jump": jump(model, encoding, pieces, tokens),
        "slide": slide(model, encoding, pieces, tokens, sinks=False),
        "sinks": slide(model, encoding, pieces, tokens, sinks=True),
        "ideal": ideal(model, encoding, pieces, tokens),
    }
    common = ~np.isnan(losses["ideal"][0])
    means = {name: float(np.nanmean(found)) for name, found in losses.items()}
    same = {name: float(found[:, common].mean()) for name, found in losses.items()}
    error = {
        name: float((found - losses["jump"])[:, common].mean(1).std() / len(pieces) ** 0.5)
        for name, found in losses.items()
    }
    rows = [[name, f"{means[name]:.4f}", f"{same[name]:.4f}", f"{error[name]:.4f}"] for name in losses]
    print(table(("method", "loss", "at the tokens of ideal", "standard error to jump"), rows))
    context = model.config.context
    place = np.array([HEADER + filled - window_begin(filled, context) for filled in range(tokens)])
    place[: context + 1] = -1
    quarter = (context - context // 2) // 4
    young = losses["jump"][:, (place >= 0) & (place < HEADER + context // 2 + quarter)].mean()
    old = losses["jump"][:, place >= context - quarter].mean()
    sliding = losses["slide"][:, place >= context - quarter].mean()
    print(f"jump: {young:.4f} just behind a move, {old:.4f} just before one (slide at the same tokens: {sliding:.4f})")
    print(f"{len(pieces)} pieces of {tokens} tokens, context {context}, {model.config.sparsity.mode} attention")
    if arguments.json:
        found = {"loss": means, "common": same, "error": error, "behind_a_move": young, "before_a_move": old}
        write_json(arguments.json, circumstances(torch.device("cpu")), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
