"""Ways to draw from a trained network, side by side: how far their pieces are from held-out ones.

    python tests/benchmarks/drawing.py --lake DIR --run RUN [--pieces 96] [--tokens 512]
                                       --try 'top_p=0.98 time_temperature=0.9' --try 'repetition=2 repeats=4' …

Every `--try` names settings of `[drawing]` in a preset; what it leaves out has its default. All compose under the
headers and planned lengths of the same pieces of the validation and test splits, up to `--tokens` tokens. Distances are
those of `musenet evaluate`, as multiples of the distance from those pieces to training pieces. Printed are their mean
excess above 1, the shares of pieces in which one pitch is struck sixteen times or more in a row, and every distance.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from report import circumstances, table, write_json

from flows.training.runs import find_run
from infra.lake import Lake
from infra.settings import apply
from modeling.archive.filling import direction_of
from modeling.config import DrawingConfig
from modeling.data import Split, load_split
from modeling.generation import SamplingConfig, generate, new_executor
from modeling.network.weights import load_model
from tokenization.dataset import find_version
from tokenization.encodings import HEADER, Encoding, Time
from tokenization.measures import MEASURES, Collected, collect, distance, measure
from tokenization.vocabulary import Tokens

BATCH = 16
SEED = 11
ROOM = 40
"""Tokens that a piece has to be longer than what is composed of it, so that nothing ends."""
LONG_RUN = 16
MEASURED = tuple(
    each for each in MEASURES if each.name not in ("sounding_at_end", "asked_sounding", "capped", "copied")
)
"""Those that say nothing of pieces that are cut off are left out."""


def pieces_of(splits: Sequence[Split], count: int, tokens: int, random: np.random.Generator) -> list[Tokens]:
    """Return so many pieces that are long enough, as many from each split."""
    found: list[Tokens] = []
    for number, split in enumerate(splits, 1):
        long = random.permutation(np.flatnonzero(split.sizes > tokens + ROOM))
        found += [
            np.asarray(split.pieces[index]) for index in long[: count * number // len(splits) - len(found)].tolist()
        ]
    return found


def measured(pieces: Sequence[Tokens], encoding: Encoding, tokens: int) -> Collected:
    """Return the measures of the first tokens of pieces."""
    in_beats = encoding.time is Time.BEATS
    return collect([measure(encoding.decode(piece[:tokens]), in_beats=in_beats) for piece in pieces])


def multiples(found: Collected, real: Collected, others: Collected) -> dict[str, float]:
    """Return the distances of pieces from real ones, as multiples of those of other real ones."""
    distances = (
        {each.name: distance(each, side[each.name], real[each.name]) for each in MEASURED} for side in (found, others)
    )
    own, floor = distances
    return {name: own[name] / max(floor[name], 1e-9) for name in own}


def main() -> int:
    """Print a line for each way to draw, and its distances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--pieces", type=int, default=96)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--try", dest="tries", action="append", required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lake = Lake.at(options.lake)
    run = find_run(lake, options.run)
    version = find_version(lake, run.dataset).local(lake)
    train, *held_out = (load_split(version.path, split) for split in ("train", "validation", "test"))
    random, tokens = np.random.default_rng(SEED), HEADER + options.tokens
    heads = pieces_of(held_out, options.pieces, tokens, random)
    model = load_model(run.folder.model).eval()
    executor, encoding = new_executor(model), train.encoding
    real = measured(heads, encoding, tokens)
    others = measured(pieces_of([train], 2 * options.pieces, tokens, random), encoding, tokens)
    rows, results = [], {}
    for words in options.tries:
        drawing = apply(DrawingConfig, DrawingConfig().model_dump(), dict(word.split("=", 1) for word in words.split()))
        begun, made = time.process_time(), []
        for first in range(0, len(heads), BATCH):
            batch = heads[first : first + BATCH]
            made += generate(
                model,
                encoding,
                np.stack([piece[:HEADER] for piece in batch]),
                [len(piece) for piece in batch],
                SamplingConfig(temperature=drawing.temperature, top_p=drawing.top_p),
                SEED + first,
                stop=tokens,
                direction=direction_of(drawing),
                executor=executor,
            )
        found = measured(made, encoding, tokens)
        far = multiples(found, real, others)
        runs = float((2 ** found["longest_run"] >= LONG_RUN).mean())
        excess = float(np.mean([max(value - 1, 0) for value in far.values()]))
        rows.append((words, f"{excess:.2f}", f"{runs:.0%}", f"{time.process_time() - begun:.0f}"))
        results[words] = {"excess": excess, "long_runs": runs, "distances": far}
        print(words, " ".join(f"{name}:{value:.1f}" for name, value in far.items()), flush=True)
    print(table(("drawing", "mean excess", f"runs of {LONG_RUN}", "s"), rows))
    if options.json is not None:
        write_json(options.json, circumstances(torch.device("cpu")), results, [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
