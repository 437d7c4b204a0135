"""How far from the header a model still listens to it: KL of its predictions with and without the labels.

    python tests/benchmarks/conditioning.py --lake DIR --run ID [--pieces 64] [--json FILE]

Held-out pieces are read from their beginnings, as far as one context; then again with style and instrumentation
replaced by "not given". The divergence of the two predictions is averaged over the positions of each distance from the
header.
Exit status 1 when it falls below 0.02 nats anywhere.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
import torch
from report import Bar, circumstances, show_bars, table, write_json
from trained import add_arguments, load_trained

from modeling.data.collate import collate
from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

LEAST = 0.02
BEGINS = (0, 16, 64, 128, 256, 384, 512, 1024, 2048, 4096)
"""Distances from the header at which a row of the table begins."""
ROWS = 8


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(arguments)
    options = arguments.parse_args()
    run, split, model = load_trained(options)
    context, vocabulary = model.config.context, split.vocabulary
    whole = [piece for piece in split.pieces if len(piece) >= context][: options.pieces]
    sums = np.zeros(context)
    for first in range(0, len(whole), ROWS):
        pieces = whole[first : first + ROWS]
        given, _ = collate(pieces, [0] * len(pieces), context, split.encoding)
        without = given.tokens.clone()
        without[:, 0], without[:, 1] = vocabulary.no_style, vocabulary.no_instrumentation
        labelled, bare = (_log_probabilities(model, batch) for batch in (given, given._replace(tokens=without)))
        sums += (labelled.exp() * (labelled - bare)).sum(-1).sum(0).numpy()
    divergence = sums[HEADER - 1 :] / len(whole)
    rows, bars = [], []
    for begin, end in pairwise(BEGINS):
        if begin < len(divergence):
            value = float(divergence[begin:end].mean())
            rows.append([f"{begin}–{min(end, len(divergence)) - 1}", f"{value:.4f}"])
            bars.append(Bar(f"nats at tokens {rows[-1][0]}", value, LEAST))
    print(table(("tokens from the header", "KL, nats"), rows))
    if options.json:
        write_json(options.json, circumstances(torch.device("cpu")), {"run": run.run_id, "rows": rows}, bars)
    raise SystemExit(show_bars(bars))


@torch.inference_mode()
def _log_probabilities(model: MuseNet, batch: Batch) -> torch.Tensor:
    """Return the logarithms of the next token's probabilities, shape (rows, positions, ids)."""
    return model.logits(model.states(batch), batch.texture).double().log_softmax(-1)


if __name__ == "__main__":
    main()
