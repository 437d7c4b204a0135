"""The archive of generations: for each chosen real piece a generated one with the same header and planned length.

Style, instrumentation and length are equal within a pair, so that a critic has only the music to tell them by.
Archives are shards like those of a dataset version, one file per run, settings and split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.files import staging_file
from modeling.data import Split
from modeling.generation import SamplingConfig, generate, new_executor
from modeling.network.transformer import MuseNet
from tokenization.dataset.shards import Row, TokenFormat, read_shard, token_arrays, write_shard
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens

BATCH = 32
"""Pieces generated at once."""


@dataclass(frozen=True)
class RealFakePairs:
    """Real pieces and their generated counterparts, in the same order."""

    real: list[Tokens]
    generated: list[Tokens]

    def __len__(self) -> int:
        return len(self.real)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each real piece, which is also the planned length of its counterpart."""
        return [len(tokens) for tokens in self.real]


def choose_pieces(split: Split, count: int, longer_than: int, seed: int) -> list[int]:
    """Return the indices of up to `count` pieces of more than `longer_than` tokens, drawn by seed."""
    long_enough = np.flatnonzero(split.sizes > longer_than)
    order = np.random.default_rng(seed).permutation(len(long_enough))
    return sorted(long_enough[order[:count]].tolist())


def generate_counterparts(
    model: MuseNet,
    split: Split,
    chosen: Sequence[int],
    size: int,
    seed: int,
    on_progress: Callable[[int], None],
) -> list[Tokens]:
    """Generate the first `size` tokens of a counterpart for each chosen piece; `on_progress` gets each batch's size."""
    generated: list[Tokens] = []
    executor = new_executor(model)
    for first in range(0, len(chosen), BATCH):
        batch = [split.pieces[index] for index in chosen[first : first + BATCH]]
        prompts = np.stack([tokens[:HEADER] for tokens in batch])
        lengths = [len(tokens) for tokens in batch]
        numbers = range(first, first + len(batch))
        generated += generate(
            model, split.encoding, prompts, lengths, SamplingConfig(), seed, size, candidates=numbers, executor=executor
        )
        on_progress(len(batch))
    return generated


def write_pairs(
    path: Path, split: Split, chosen: Sequence[int], generated: Sequence[Tokens], token_format: TokenFormat
) -> None:
    """Write the generated counterparts of the chosen pieces as a shard, under the ids of the real ones."""
    rows = []
    for index, tokens in zip(chosen, generated):
        instrumentation = split.vocabulary.names[int(tokens[1])]
        piece_id = split.piece_ids[index]
        rows.append(Row(piece_id, piece_id, split.styles[index], instrumentation, tokens))
    with staging_file(path) as staged:
        write_shard(staged, rows, token_format)


def read_pairs(path: Path, split: Split, token_format: TokenFormat) -> RealFakePairs:
    """Read archived generations with their real pieces. Raises ShardError when the file is damaged."""
    table = read_shard(path, token_format, ("piece_id", "tokens"))
    by_id = dict(zip(split.piece_ids, split.pieces))
    real = [by_id[piece_id] for piece_id in table.column("piece_id").to_pylist()]
    return RealFakePairs(real, [tokens.copy() for tokens in token_arrays(table)])
