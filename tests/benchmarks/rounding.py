"""What weights in 8 bits cost: the loss of held-out pieces, token by token, with them and with those in 32 bits.

    python tests/benchmarks/rounding.py --lake DIR [--run ID] [--pieces 64] [--json FILE]

Held-out pieces that fill a context are decoded from their headers on as generation does it, with the compiled executor.
Exit status 1 when 8 bits cost more than 0.001 nats a token.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from report import Bar, circumstances, show_bars, write_json
from trained import add_arguments, load_trained

from modeling.generation import ExecutorConfig, new_executor
from modeling.generation.direction import Direction
from modeling.generation.pieces import GrowingPieces
from modeling.generation.sampling import SamplingConfig
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER, Encoding

MOST = 1e-3
"""Nats a token."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(arguments)
    options = arguments.parse_args()
    run, split, model = load_trained(options)
    context = model.config.context
    whole = [piece for piece in split.pieces if len(piece) >= context][: options.pieces]
    if not whole:
        raise SystemExit(f"no held-out piece of {run.dataset} fills a context of {context} tokens")
    pieces, lengths = np.stack([piece[:context] for piece in whole]), np.array([len(piece) for piece in whole])
    full, small = (
        _losses(model, split.encoding, pieces, lengths, ExecutorConfig.model_validate({"weights": weights}))
        for weights in ("fp32", "int8")
    )
    differences = (small - full).mean(0)
    error = differences.std(ddof=1) / len(whole) ** 0.5
    print(f"{len(whole)} pieces, nats a token: {full.mean():.4f} in 32 bits, {small.mean():.4f} in 8")
    print(f"8 bits cost {differences.mean():+.5f} ± {error:.5f}")
    bars = [Bar("nats saved by 32 bits, below the most that 8 may cost", MOST - differences.mean(), 0.0)]
    if options.json:
        figures = {"run": run.run_id, "full": full.mean(), "small": small.mean(), "error": error}
        write_json(options.json, circumstances(torch.device("cpu")), figures, bars)
    raise SystemExit(show_bars(bars))


def _losses(
    model: MuseNet, encoding: Encoding, tokens: NDArray[np.uint16], lengths: NDArray[np.int64], config: ExecutorConfig
) -> NDArray[np.float64]:
    """Return the loss of each token behind the header, shape (positions, pieces)."""
    executor = new_executor(model, config)
    rows, context = tokens.shape
    growing = GrowingPieces(
        encoding, tokens[:, :HEADER], lengths.copy(), context, SamplingConfig(), Direction(), executor.listens
    )
    state, losses = executor.prefill(growing.window(context), context), []
    for column in tokens[:, HEADER:].T.astype(np.int64):
        logits = state.logits.astype(np.float64)
        most = logits.max(1)
        total = most + np.log(np.exp(logits - most[:, None]).sum(1))
        losses.append(total - logits[np.arange(rows), column])
        growing.append(column)
        state.decode_step(growing.latest())
    return np.array(losses)


if __name__ == "__main__":
    main()
