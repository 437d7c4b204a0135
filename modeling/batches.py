"""Batches: dataset version → windows → batches, in an order that is a pure function of its inputs.

Which windows form global batch k depends on the sizes of the pieces, the seed and k alone: not on ranks,
workers or what was read before. The state of a loader is therefore one integer, the number of batches done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from modeling.embeddings import Batch
from modeling.transformer import IGNORED
from tokenization.augmentation import AugmentationSchedule, vary
from tokenization.encodings import HEADER, Encoding, get_encoding
from tokenization.shards import ShardError, Stamp, read_shard, token_arrays
from tokenization.structure import windows
from tokenization.vocabulary import Tokens, Vocabulary

SHIFT_STREAM, ORDER_STREAM, STYLE_STREAM, VARIANT_STREAM = range(4)
"""Independent random streams drawn from one seed."""
UNCHANGED = AugmentationSchedule().at(0)


@dataclass(frozen=True)
class Split:
    """The pieces of one split of a dataset version, in memory."""

    pieces: list[Tokens]
    piece_ids: list[str]
    styles: list[str | None]
    encoding: Encoding

    @property
    def vocabulary(self) -> Vocabulary:
        return self.encoding.vocabulary

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each piece."""
        return np.array([len(piece) for piece in self.pieces], np.int64)


def load_split(version: Path, split: str) -> Split:
    """Read a split (`train`, `validation` or `test`) of the dataset version in a folder.

    Raises ShardError when a shard is missing, damaged or of another encoding than the version says.
    """
    vocabulary = Vocabulary.from_json((version / "vocabulary.json").read_text(encoding="utf-8"))
    description = json.loads((version / "dataset.json").read_text(encoding="utf-8"))
    encoding = get_encoding(description["encoding"]["name"], vocabulary, description["encoding"]["time"])
    stamp = Stamp.of(encoding)
    pieces: list[Tokens] = []
    piece_ids: list[str] = []
    styles: list[str | None] = []
    for name in sorted(description["shards"]):
        if not name.startswith(f"{split}/"):
            continue
        path = version / name
        if not path.exists():
            raise ShardError(f"{path} is missing although dataset.json lists it: ingest again")
        table = read_shard(path, stamp, ("piece_id", "style", "tokens"))
        pieces += list(token_arrays(table))
        piece_ids += table.column("piece_id").to_pylist()
        styles += table.column("style").to_pylist()
    return Split(pieces, piece_ids, styles, encoding)


@dataclass(frozen=True)
class Windows:
    """The windows of one epoch: piece index and first body token of each, arrays of shape (n,)."""

    piece: NDArray[np.int64]
    start: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.piece)


def epoch_windows(sizes: NDArray[np.int64], body: int, seed: int, epoch: int) -> Windows:
    """Windows of `body` tokens that together cover every piece, shuffled.

    Their number is the same in every epoch. A piece's first window is at its beginning, the last one at its
    end; those between follow each other without a gap, moved together by another shift each epoch.
    """
    spare = np.maximum(sizes - HEADER - body, 0)
    gaps = -(-spare // body)
    piece = np.repeat(np.arange(len(sizes)), 1 + gaps)
    index = np.arange(len(piece)) - np.repeat(np.cumsum(1 + gaps) - (1 + gaps), 1 + gaps)
    # The second window starts where the first one ends at the latest, and late enough for the last to reach the end.
    earliest = spare - np.maximum(gaps - 1, 0) * body
    second = np.random.default_rng([seed, epoch, SHIFT_STREAM]).integers(earliest, body, endpoint=True)
    start = np.where(index == 0, 0, np.minimum(second[piece] + (index - 1) * body, spare[piece]))
    order = np.random.default_rng([seed, epoch, ORDER_STREAM]).permutation(len(piece))
    return Windows(piece[order], start[order])


class Loader:
    """Global batches by number: `loader.batch(k)` is the same whenever and wherever it is asked for."""

    def __init__(
        self,
        split: Split,
        context: int,
        batch_size: int,
        seed: int = 0,
        style_dropout: float = 0.0,
        augmentation: AugmentationSchedule | None = None,
        steps: int = 1,
    ) -> None:
        """`augmentation`: how windows are varied over a training of so many `steps`.

        Raises ShardError when the split has no piece.
        """
        if not split.pieces:
            raise ShardError("the split has no piece: nothing to draw batches from")
        self.split = split
        self.context = context
        self.batch_size = batch_size
        self.seed = seed
        self.style_dropout = style_dropout
        self.augmentation = augmentation or AugmentationSchedule()
        self.steps = steps
        self.body = context + 1 - HEADER
        self._epoch = 0
        self._windows = epoch_windows(split.sizes, self.body, seed, 0)

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch; the last one is filled up from the epoch's beginning."""
        return -(-len(self._windows) // self.batch_size)

    def batch(self, number: int, rank: int = 0, ranks: int = 1) -> tuple[Batch, torch.Tensor]:
        """Rank's share of global batch `number`: inputs and targets of shape (batch_size / ranks, context).

        Targets are IGNORED in the header and behind a piece's end.
        """
        epoch, index = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            self._windows = epoch_windows(self.split.sizes, self.body, self.seed, epoch)
            self._epoch = epoch
        slots = np.arange(index * self.batch_size, (index + 1) * self.batch_size) % len(self._windows)
        hidden = np.random.default_rng([self.seed, number, STYLE_STREAM]).random(self.batch_size)
        share = slice(rank * self.batch_size // ranks, (rank + 1) * self.batch_size // ranks)
        pieces = [self.split.pieces[piece] for piece in self._windows.piece[slots[share]]]
        starts = self._windows.start[slots[share]].tolist()
        changes = self.augmentation.at(number / self.steps)
        if changes != UNCHANGED:
            luck = np.random.default_rng([self.seed, number, VARIANT_STREAM]).random(self.batch_size)[share].tolist()
            varied = [
                vary(tokens, start, changes, self.split.encoding, chance)
                for tokens, start, chance in zip(pieces, starts, luck)
            ]
            pieces, starts = [tokens for tokens, _ in varied], [start for _, start in varied]
        batch, targets = collate(pieces, starts, self.context, self.split.encoding)
        batch.tokens[torch.from_numpy(hidden[share] < self.style_dropout), 0] = self.split.vocabulary.no_style
        return batch, targets


def collate(
    pieces: Sequence[Tokens],
    starts: Sequence[int],
    context: int,
    encoding: Encoding,
    lengths: Sequence[int] | None = None,
) -> tuple[Batch, torch.Tensor]:
    """Windows of pieces as inputs and next-token targets of shape (batch, context).

    `starts`: first body token of each window. `lengths`: the tokens that each piece has in all, where it is not
    given whole. Targets are IGNORED in the header and behind a piece's end.
    """
    lengths = [len(tokens) for tokens in pieces] if lengths is None else lengths
    pad = encoding.vocabulary.pad
    whole = torch.from_numpy(windows(pieces, starts, lengths, HEADER, context + 1, encoding.meaning, pad))
    targets = whole[0, :, 1:].clone()
    targets[:, : HEADER - 1] = IGNORED
    targets[targets == pad] = IGNORED
    return Batch(*whole[:, :, :-1]), targets
