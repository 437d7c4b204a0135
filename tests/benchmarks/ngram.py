"""Held-out loss of a back-off n-gram, order by order.

    python tests/benchmarks/ngram.py --lake DIR --dataset NAME[@DIGEST] [--order 5] [--copies 2] [--json FILE]

The model is that of `flows/evaluation/baselines/ngram.py`; its windows and targets are those that
`modeling.training.evaluation` measures the network on.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from baselines.ngram import score, with_copies
from report import circumstances, table, write_json

from flows.evaluation.baselines.ngram import NGram
from infra.lake import Lake
from modeling.data import load_split
from tokenization.dataset import find_version
from tokenization.encodings import HEADER


def main() -> int:
    parser = argparse.ArgumentParser(description="Held-out loss of a back-off n-gram, order by order.")
    parser.add_argument("--lake", type=Path, required=True, help="folder of the lake")
    parser.add_argument("--dataset", required=True, help="NAME or NAME@DIGEST")
    parser.add_argument("--order", type=int, default=5, help="the highest order (default 5)")
    parser.add_argument("--copies", type=int, default=2, help="transposed copies of each piece (default 2)")
    parser.add_argument("--context", type=int, default=512, help="tokens in a window (default 512)")
    parser.add_argument("--split", default="validation", help="what is predicted (default validation)")
    parser.add_argument("--windows", type=int, help="how many of its windows (default all)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    if arguments.order < 1 or arguments.copies < 0 or arguments.context <= HEADER:
        parser.error(f"--order is at least 1, --copies at least 0 and --context more than {HEADER}")

    lake = Lake.at(arguments.lake)
    version = find_version(lake, arguments.dataset).local(lake).path
    training, held_out = load_split(version, "train"), load_split(version, arguments.split)
    pieces = with_copies(training, arguments.copies)
    began = time.perf_counter()
    model = NGram(pieces, training.vocabulary.size, arguments.order)
    learned = time.perf_counter() - began
    print(f"{sum(map(len, pieces)):,} tokens of {len(training.pieces):,} pieces learned in {learned:.1f} s")
    scores = {n: score(model, held_out, arguments.context, arguments.windows, n) for n in range(1, arguments.order + 1)}
    rows = [
        [str(n), f"{len(model.orders[n - 1].keys):,}", f"{one.nats_per_token:.4f}", f"{one.nats_per_note:.4f}"]
        for n, one in scores.items()
    ]
    print(table(["order", "n-grams", "nats/token", "nats/note"], rows))
    last = scores[arguments.order]
    print(f"over {last.tokens:,} tokens in {last.windows:,} windows of {arguments.context}")
    if arguments.json:
        figures = {"dataset": arguments.dataset, "copies": arguments.copies, "context": arguments.context}
        found = {"learning_seconds": learned, "orders": {n: asdict(one) for n, one in scores.items()}}
        write_json(arguments.json, circumstances(torch.device("cpu")), {**figures, **found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
