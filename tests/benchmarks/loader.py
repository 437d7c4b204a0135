"""Tokens per second of the training loader, against a memory-mapped array and litdata on the same tokens.

    python tests/benchmarks/loader.py --lake DIR --dataset NAME[@DIGEST] [--json FILE]

All contestants take turns in one process, a short round each; the median of the rounds counts, and ratios are of
rounds that follow each other, so that a busy machine does harm to all.

    memmap     nanoGPT's loop: windows at random places of one np.memmap, inputs and targets as int64 tensors
    litdata    StreamingDataset with TokensLoader in a StreamingDataLoader, as its documentation has it, inputs and
               targets cut from its blocks; in this process, for its workers start anew with every epoch, which takes
               longer than an epoch of a small dataset. Left out where it is not installed
    plain      ours: tokens, four structure features and targets; a window never crosses the end of its piece
    packed     the same with several short windows to a row, and their document ids
    varied     packed, with transposition and velocity
    stretched  packed, with stretches, too: whole pieces are decoded and encoded again
    ahead      packed, made by a Prefetcher's two threads

`memmap` and `litdata` know no pieces: all their positions hold tokens, some of which follow from another piece. Of
ours, `positions/s` counts what is written and `tokens/s` what of it is not padding; `packed` is compared with the
others by its tokens. `bytes` are written for a position: inputs and targets. Ours go to memory that is
used again once a batch has been dropped, as all but the last one are here.

Last comes what a training step takes: measured here, forward and backward of the preset `tiny`; and at most on an
H100, from its arithmetic alone. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import Bar, circumstances, show_bars, table, write_json
from torch import Tensor

from infra.lake import Lake
from modeling.config import load_preset
from modeling.data import Loader, Prefetcher, Split, load_split
from modeling.network.transformer import MuseNet
from tokenization.augmentation import AugmentationSchedule
from tokenization.dataset import find_version

try:
    import litdata
except ImportError:
    litdata = None

POSITIONS = 262144
"""In a batch; contexts × windows."""
CONTEXTS = (512, 4096, 16384)
MOVES = AugmentationSchedule(transpose=6, final_transpose=6, velocity=12)
STRETCHES = AugmentationSchedule(transpose=6, final_transpose=6, velocity=12, stretch=0.05)
H100 = 800e12
"""Arithmetic operations in bf16 a second that it reaches at most."""
BYTES = {"memmap": 16, "litdata": 16, "plain": 15}
PACKED_BYTES = 17
"""Written for a position: token, time and target in four bytes each, three features in one, a document in two."""
HEADS = ("M a second", "positions", "tokens", "filled", "positions / memmap", "tokens / memmap", "bytes")


@dataclass
class Rounds:
    """Results of one contestant, round by round."""

    positions: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)


def run_memmap(path: Path, context: int, rows: int) -> Iterator[tuple[int, int]]:
    random = np.random.default_rng(0)
    while True:
        data = np.memmap(path, np.uint16, "r")  # nanoGPT maps anew for each batch, against a leak
        places = random.integers(0, len(data) - context, rows)
        x = torch.stack([torch.from_numpy(data[i : i + context].astype(np.int64)) for i in places])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + context].astype(np.int64)) for i in places])
        assert x.shape == y.shape
        yield x.numel(), x.numel()


def token_blocks(path: str) -> Iterator[Tensor]:
    """Yield the items that litdata makes its chunks from."""
    for piece in np.array_split(np.fromfile(path, np.uint16), 64):
        yield torch.from_numpy(piece.astype(np.int32))


def run_litdata(folder: Path, context: int, rows: int) -> Iterator[tuple[int, int]]:
    dataset = litdata.StreamingDataset(
        input_dir=str(folder), item_loader=litdata.TokensLoader(block_size=context + 1), shuffle=True, drop_last=True
    )
    loader = litdata.StreamingDataLoader(dataset, batch_size=rows, num_workers=0)
    while True:
        for block in loader:
            x, y = block[:, :-1].long(), block[:, 1:].long()
            yield x.numel(), y.numel()


def run_ours(split: Split, context: int, rows: int, threads: int = 0, **options: Any) -> Iterator[tuple[int, int]]:
    loader = Loader(split, context, rows, style_dropout=0.1, instrument_dropout=0.1, **options)
    pad = split.vocabulary.pad
    per_epoch = loader.batches_per_epoch
    full = [int((loader.batch(number)[0].tokens != pad).sum()) for number in range(per_epoch)]
    if threads:
        with Prefetcher(loader.batch, depth=2 * threads, workers=threads) as batches:
            for number, (_, targets) in enumerate(batches):
                yield targets.numel(), full[number % per_epoch]
    number = 0
    while True:
        _, targets = loader.batch(number)
        yield targets.numel(), full[number % per_epoch]
        number += 1


def race(racing: dict[str, Iterator[tuple[int, int]]], rounds: int, seconds: float) -> dict[str, Rounds]:
    """Rounds of so many seconds each, the contestants taking turns; the first batch of each is not timed."""
    for one in racing.values():
        next(one)
    found = {name: Rounds() for name in racing}
    for _ in range(rounds):
        for name, one in racing.items():
            next(one)
            began, positions, tokens = time.perf_counter(), 0, 0
            while time.perf_counter() - began < seconds:
                more = next(one)
                positions, tokens = positions + more[0], tokens + more[1]
            spent = time.perf_counter() - began
            found[name].positions.append(positions / spent)
            found[name].tokens.append(tokens / spent)
    return found


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other))


def contestants(split: Split, flat: Path, streamed: Path | None, context: int) -> dict[str, Iterator[tuple[int, int]]]:
    rows = POSITIONS // context
    racing = {"memmap": run_memmap(flat, context, rows)}
    if streamed is not None:
        racing["litdata"] = run_litdata(streamed, context, rows)
    racing["plain"] = run_ours(split, context, rows)
    racing["packed"] = run_ours(split, context, rows, pack=True)
    racing["varied"] = run_ours(split, context, rows, pack=True, augmentation=MOVES)
    racing["stretched"] = run_ours(split, context, rows, pack=True, augmentation=STRETCHES)
    racing["ahead"] = run_ours(split, context, rows, 2, pack=True)
    return racing


def stream_of(flat: Path, folder: Path) -> Path | None:
    """The same tokens as litdata wants them, or None where it is not installed."""
    if litdata is None:
        return None
    litdata.optimize(
        fn=token_blocks,
        inputs=[str(flat)],
        output_dir=str(folder),
        chunk_size=2049 * 8012,
        item_loader=litdata.TokensLoader(),
        num_workers=1,
    )
    return folder


def building(dataset: Path, cache: Path) -> tuple[float, float, Split]:
    """Bytes of tokens a second when the store is made, seconds until it is open again, and the split."""
    load_split(dataset, "validation")  # loads the compiled code
    spent = []
    for number in range(3):
        began = time.perf_counter()
        split = load_split(dataset, "train", cache / str(number))
        spent.append(time.perf_counter() - began)
    began = time.perf_counter()
    split = load_split(dataset, "train", cache / "0")
    return split.token_cache.tokens.nbytes / min(spent), time.perf_counter() - began, split


def step_takes(split: Split) -> tuple[float, float]:
    """Tokens a second that training the preset `tiny` takes here; those that an H100 can take of 150 M weights."""
    config = load_preset("tiny").model
    model = MuseNet(config.over(split.vocabulary))
    batch, targets = Loader(split, config.context, 4).batch(0)
    spent = []
    for _ in range(4):
        began = time.perf_counter()
        model(batch, targets).backward()
        spent.append(time.perf_counter() - began)
    return targets.numel() / min(spent), H100 / (6 * 150e6)


def lines_of(found: dict[str, Rounds]) -> list[list[str]]:
    """The table of one context."""
    base = found["memmap"].tokens
    lines = []
    for name, one in found.items():
        positions, tokens = statistics.median(one.positions), statistics.median(one.tokens)
        ratios = [f"{ratio(column, base):.2f}" for column in (one.positions, one.tokens)]
        speeds = [f"{positions / 1e6:,.1f}", f"{tokens / 1e6:,.1f}", f"{tokens / positions:.0%}"]
        lines.append([name, *speeds, *ratios, str(BYTES.get(name, PACKED_BYTES))])
    return lines


def bars_of(found: dict[str, Rounds], context: int) -> list[Bar]:
    base, packed = found["memmap"].tokens, found["packed"].tokens
    return [
        Bar(f"plain / memmap at {context}, positions", ratio(found["plain"].positions, base), 1),
        Bar(f"packed / memmap at {context}, tokens", ratio(packed, base), 1),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Tokens a second of the training loader.")
    parser.add_argument("--lake", type=Path, required=True, help="folder of the lake")
    parser.add_argument("--dataset", required=True, help="NAME or NAME@DIGEST")
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds (default 15)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a round (default 0.1)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.at(arguments.lake)
        version = find_version(lake, arguments.dataset).local(lake).path
        store_speed, opening, split = building(version, Path(folder) / "cache")
        tokens = split.token_cache.tokens
        print(f"{len(split.pieces):,} pieces, {len(tokens):,} tokens; litdata {getattr(litdata, '__version__', '-')}")
        print(f"token store: made at {store_speed / 1e6:,.0f} MB/s, opened in {opening * 1e3:.0f} ms")
        bars = []
        flat = Path(folder) / "tokens"
        tokens.tofile(flat)
        streamed = stream_of(flat, Path(folder) / "litdata")
        for context in CONTEXTS:
            racing = contestants(split, flat, streamed, context)
            found = race(racing, arguments.rounds, arguments.seconds)
            racing.clear()  # ends the threads
            print(f"\ncontext {context}, {POSITIONS // context} windows\n\n{table(HEADS, lines_of(found))}", flush=True)
            figures[str(context)] = {name: asdict(one) for name, one in found.items()}
            bars += bars_of(found, context)
        here, there = step_takes(split)
        stretched = statistics.median(figures["4096"]["stretched"]["tokens"])
        print(f"\na step of `tiny` takes {here / 1e6:.4f} M tokens/s here", end="; ")
        print(f"150 M weights on an H100 at most {there / 1e6:.2f} M\n")
        bars.append(Bar("stretched at 4096 / what an H100 takes of 150 M weights at most", stretched / there, 1))
    status = show_bars(bars)
    if arguments.json:
        more = {"store_bytes_per_second": store_speed, "opening_seconds": opening, "tiny_tokens_per_second": here}
        write_json(arguments.json, circumstances(torch.device("cpu")), {**more, "contexts": figures}, bars)
    return status


if __name__ == "__main__":
    sys.exit(main())
