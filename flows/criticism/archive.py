"""The archive: generations kept for the critic, each the twin of a real piece.

A twin has its piece's header and planned length; the rest is the model's. Archives are shards like any others,
one file per run and settings, published whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.files import staging_file
from modeling.data.batches import Split
from modeling.generation.generate import SamplingConfig, generate
from modeling.network.transformer import MuseNet
from tokenization.dataset.shards import Row, Stamp, read_shard, token_arrays, write_shard
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens

BATCH = 32


@dataclass(frozen=True)
class Twins:
    """Real pieces and the generations that answer them, in the same order."""

    real: list[Tokens]
    generated: list[Tokens]

    @property
    def lengths(self) -> list[int]:
        """Tokens that each pair has, or was planned to have."""
        return [len(tokens) for tokens in self.real]


def choose_pieces(split: Split, count: int, least: int, seed: int) -> list[int]:
    """Indices of up to `count` pieces with more than `least` tokens, drawn by seed."""
    long_enough = np.flatnonzero(split.sizes > least)
    order = np.random.default_rng(seed).permutation(len(long_enough))
    return sorted(long_enough[order[:count]].tolist())


def generate_twins(
    model: MuseNet,
    split: Split,
    chosen: Sequence[int],
    size: int,
    seed: int,
    on_progress: Callable[[int], None],
) -> list[Tokens]:
    """The first `size` tokens of a twin for each chosen piece; `on_progress` gets the number of each batch's twins."""
    twins: list[Tokens] = []
    for first in range(0, len(chosen), BATCH):
        batch = [split.pieces[index] for index in chosen[first : first + BATCH]]
        prompts = np.stack([tokens[:HEADER] for tokens in batch])
        lengths = [len(tokens) for tokens in batch]
        twins += generate(model, split.encoding, prompts, lengths, SamplingConfig(), seed + first, stop=size)
        on_progress(len(batch))
    return twins


def keep(path: Path, split: Split, chosen: Sequence[int], twins: Sequence[Tokens], stamp: Stamp) -> None:
    """Archive the twins of the chosen pieces."""
    rows = []
    for index, tokens in zip(chosen, twins):
        groups = split.vocabulary.names[int(tokens[1])]
        rows.append(Row(split.piece_ids[index], split.piece_ids[index], split.styles[index], groups, tokens))
    with staging_file(path) as staged:
        write_shard(staged, rows, stamp)


def recall(path: Path, split: Split, stamp: Stamp) -> Twins:
    """Archived twins with their pieces. Raises ShardError when the file is damaged."""
    table = read_shard(path, stamp, ("piece_id", "tokens"))
    by_id = dict(zip(split.piece_ids, split.pieces))
    real = [by_id[piece_id] for piece_id in table.column("piece_id").to_pylist()]
    return Twins(real, [tokens.copy() for tokens in token_arrays(table)])
