"""Batches: rows of an epoch → what the network sees, and what it shall predict.

Which windows form global batch k, and how they are varied, depends on the sizes of the pieces, the seed and k alone:
not on ranks, threads or what was read before. The state of a loader is therefore one integer, the batches done.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modeling.data.augmentation import by_row, row_changes
from modeling.data.buffers import Buffers
from modeling.data.sampler import INSTRUMENT_STREAM, STYLE_STREAM, VARIANT_STREAM, Order, Rows, Windows, epoch_windows
from modeling.data.split import Split, load_split
from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from tokenization.augmentation import AugmentationSchedule, AugmentationSettings, vary
from tokenization.dataset.shards import ShardError
from tokenization.dataset.windows import NO_DOCUMENTS, UNCHANGED, UNMARKED, Inputs, Parts, lay_out, side_by_side
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Tokens

__all__ = ["Loader", "Split", "Windows", "collate", "epoch_windows", "load_split"]

ORIGINALS = AugmentationSchedule().at(0)
STYLE_AT, INSTRUMENTATION_AT = 0, 1
"""Where the header says them."""


class Loader:
    """Global batches by number: `loader.batch(k)` is the same whenever and wherever it is asked for.

    Several threads may ask at once.
    """

    def __init__(
        self,
        split: Split,
        context: int,
        batch_size: int,
        *,
        seed: int = 0,
        style_dropout: float = 0.0,
        instrument_dropout: float = 0.0,
        augmentation: AugmentationSchedule | None = None,
        steps: int = 1,
        pack: bool = False,
        pin: bool = False,
    ) -> None:
        """`augmentation`: how windows are varied over a training of so many `steps`. `pack`: several short windows to
        a row, told apart by `Batch.document`. `pin`: tensors in memory that a GPU copies from by itself.

        Raises ShardError when the split has no piece.
        """
        if not len(split.pieces):
            raise ShardError("the split has no piece: nothing to draw batches from")
        self.split = split
        self.context = context
        self.batch_size = batch_size
        self.seed = seed
        self.style_dropout = style_dropout
        self.instrument_dropout = instrument_dropout
        self.augmentation = augmentation or AugmentationSchedule()
        self.steps = steps
        self.pack = pack
        self._order = Order(split.sizes, context + 1 - HEADER, seed, pack)
        self._buffers = Buffers(pin)
        self._lock = Lock()
        self._epochs = {0: self._order.epoch(0)}
        self.rows_per_epoch = len(self._epochs[0])

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch; the last one is filled up from the epoch's beginning."""
        return -(-self.rows_per_epoch // self.batch_size)

    def batch(self, number: int, rank: int = 0, ranks: int = 1) -> tuple[Batch, Tensor]:
        """Rank's share of global batch `number`: inputs and targets, shape (batch_size / ranks, context).

        Targets are IGNORED in headers, where a window's last token is and behind it. Windows that a variation made
        longer are cut, and shorter ones padded.
        """
        epoch, index = divmod(number, self.batches_per_epoch)
        rows = self._rows(epoch)
        places = np.arange(index * self.batch_size, (index + 1) * self.batch_size) % len(rows)
        windows, row, place = rows.windows_of(places)
        first, last = (share * self.batch_size // ranks for share in (rank, rank + 1))
        mine = slice(*np.searchsorted(row, [first, last]))

        def draw(stream: int) -> NDArray[np.float64]:
            """A number from 0 up to 1 for each of this rank's windows, whatever the ranks are."""
            return np.random.default_rng([self.seed, number, stream]).random(len(windows))[mine]

        parts = self._parts(rows, windows[mine], row[mine] - first, place[mine])
        settings = self.augmentation.at(number / self.steps)
        tokens, marks, changes = self.split.store.tokens, self.split.store.marks, UNCHANGED
        if settings != ORIGINALS:
            piece = rows.windows.piece[windows[mine]]
            tokens, marks, changes, parts = self._varied(parts, piece, draw(VARIANT_STREAM), settings)
        batch, targets = self._buffers.batch((last - first, self.context), self.pack)
        _lay_out(tokens, marks, parts, self.split.encoding, batch, targets, changes)
        ids, vocabulary = batch.tokens.numpy(), self.split.vocabulary
        if self.style_dropout:
            hidden = draw(STYLE_STREAM) < self.style_dropout
            ids[parts.row[hidden], parts.at[hidden] + STYLE_AT] = vocabulary.no_style
        if self.instrument_dropout:
            hidden = draw(INSTRUMENT_STREAM) < self.instrument_dropout
            ids[parts.row[hidden], parts.at[hidden] + INSTRUMENTATION_AT] = vocabulary.no_instrumentation
        return batch, targets

    def _rows(self, epoch: int) -> Rows:
        """The rows of an epoch; those of the last two are kept, for threads that work on both."""
        with self._lock:
            if epoch not in self._epochs:
                kept = sorted(self._epochs, key=lambda other: abs(other - epoch))[:1]
                self._epochs = {**{other: self._epochs[other] for other in kept}, epoch: self._order.epoch(epoch)}
            return self._epochs[epoch]

    def _parts(self, rows: Rows, windows: NDArray[np.int64], row: NDArray[np.int64], place: NDArray[np.int64]) -> Parts:
        """Where windows come to lie; their last tokens are targets alone where another window follows."""
        piece, count = rows.windows.piece[windows], rows.count[windows]
        width = HEADER - 1 + count
        begins = place == 0
        at = np.cumsum(width) - width
        at -= at[begins][row]
        until = at + width
        until[np.flatnonzero(begins) - 1] = self.context  # of the last in each row: those before the first ones
        offsets = self.split.store.offsets
        first, stop = offsets[piece], offsets[piece + 1]
        return Parts(
            row=row,
            at=at,
            until=until,
            first=first,
            stop=stop,
            length=stop - first,
            start=rows.windows.start[windows],
            body=count,
            document=place,
        )

    def _varied(
        self, parts: Parts, piece: NDArray[np.int64], luck: NDArray[np.float64], settings: AugmentationSettings
    ) -> tuple[Tokens, NDArray[np.int64], NDArray[np.int32], Parts]:
        """Tokens, marks, changes and parts of the windows' variants."""
        store, encoding = self.split.store, self.split.encoding
        if by_row(settings, encoding):
            changes = row_changes(settings, store.rooms[piece], luck, encoding.vocabulary)
            return store.tokens, store.marks, changes, parts
        varied = [
            vary(store[index], start, settings, encoding, chance)
            for index, start, chance in zip(piece.tolist(), parts.start.tolist(), luck.tolist())
        ]
        pieces = [tokens for tokens, _ in varied]
        tokens, found = side_by_side(pieces, [start for _, start in varied], [len(tokens) for tokens in pieces])
        whole = {"first": found.first, "stop": found.stop, "length": found.length, "start": found.start}
        return tokens, UNMARKED, UNCHANGED, parts._replace(**whole)


def collate(
    pieces: Sequence[Tokens],
    starts: Sequence[int],
    context: int,
    encoding: Encoding,
    lengths: Sequence[int] | None = None,
) -> tuple[Batch, Tensor]:
    """Windows of pieces as inputs and next-token targets of shape (batch, context).

    `starts`: first body token of each window. `lengths`: the tokens that each piece has in all, where it is not
    given whole. Targets are IGNORED in the header and behind a piece's end.
    """
    lengths = [len(tokens) for tokens in pieces] if lengths is None else lengths
    tokens, parts = side_by_side(pieces, starts, lengths)
    parts = parts._replace(until=np.full(len(pieces), context), body=np.full(len(pieces), context + 1 - HEADER))
    batch, targets = Buffers().batch((len(pieces), context), pack=False)
    _lay_out(tokens, UNMARKED, parts, encoding, batch, targets)
    return batch, targets


def _lay_out(
    tokens: Tokens,
    marks: NDArray[np.int64],
    parts: Parts,
    encoding: Encoding,
    batch: Batch,
    targets: Tensor,
    changes: NDArray[np.int32] = UNCHANGED,
) -> None:
    lay_out(
        tokens,
        marks,
        parts,
        HEADER,
        encoding.effects,
        encoding.vocabulary.pad,
        Inputs(*(x.numpy() for x in batch[:5])),
        targets.numpy(),
        IGNORED,
        NO_DOCUMENTS if batch.document is None else batch.document.numpy(),
        changes,
    )
