"""The loader: global batches of windows, by number.

The windows of global batch k, and their augmentation, are a function of the pieces' sizes, the seed and k alone: not of
ranks, threads or what was read before. The state of a loader is therefore one integer, the number of batches done.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modeling.data.augmentation import id_shifts, is_id_shift
from modeling.data.balance import balanced_copies
from modeling.data.buffers import Buffers
from modeling.data.collate import fill_batch
from modeling.data.sampler import INSTRUMENT_STREAM, STYLE_STREAM, VARIANT_STREAM, EpochRows, EpochSampler
from modeling.data.split import Split
from modeling.network.batch import Batch
from tokenization.augmentation import AugmentationSchedule, AugmentationSettings, vary
from tokenization.dataset.shards import ShardError
from tokenization.dataset.windows import UNCHANGED, UNMARKED, Parts, side_by_side
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens

ORIGINALS = AugmentationSchedule().at(0)
"""Settings that leave windows as they are."""
STYLE_POSITION, INSTRUMENTATION_POSITION = 0, 1
"""Positions in the header."""


class Loader:
    """Global batches by number: `loader.batch(k)` is the same at any time, on any rank. Thread-safe."""

    def __init__(
        self,
        split: Split,
        context: int,
        batch_size: int,
        *,
        seed: int = 0,
        style_balance: float = 0.0,
        style_dropout: float = 0.0,
        instrument_dropout: float = 0.0,
        augmentation: AugmentationSchedule | None = None,
        steps: int = 1,
        pack: bool = False,
        texture: bool = False,
        pin: bool = False,
    ) -> None:
        """Set up the batches of a split.

        `context`: tokens in a row. `batch_size`: rows of a global batch. `style_balance`: the exponent
        of `balanced_copies`. `augmentation`: the schedule over a training
        of `steps` steps. `pack`: put several short windows into a row, separated by `Batch.document`. `texture`: fill
        in `Batch.texture`. `pin`: use pinned memory, from which a GPU copies asynchronously. Raises ShardError if the
        split has no piece.
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
        self.texture = texture
        copies: NDArray[np.int64] | int = 1
        if style_balance:  # otherwise nothing of the pieces is read in advance
            cache = split.token_cache
            styles = cache.tokens[cache.offsets[:-1] + STYLE_POSITION].astype(np.int64)
            copies = balanced_copies(split.sizes, styles, style_balance, seed)
        self._sampler = EpochSampler(split.sizes, context + 1 - HEADER, seed, pack, copies)
        self._buffers = Buffers(pin)
        self._lock = Lock()
        self._epochs = {0: self._sampler.epoch(0)}
        self.rows_per_epoch = len(self._epochs[0])

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch; the last one is filled up from the epoch's beginning."""
        return -(-self.rows_per_epoch // self.batch_size)

    def batch(self, number: int, rank: int = 0, world_size: int = 1) -> tuple[Batch, Tensor]:
        """Return a rank's share of global batch `number`: inputs and targets, shape (batch_size / world_size, context).

        Targets are IGNORED in headers, and from a window's last token on. Windows that augmentation made longer are
        cut, shorter ones padded.
        """
        epoch, index = divmod(number, self.batches_per_epoch)
        rows = self._rows(epoch)
        positions = np.arange(index * self.batch_size, (index + 1) * self.batch_size) % len(rows)
        windows, row, place = rows.windows_of(positions)
        first, last = (share * self.batch_size // world_size for share in (rank, rank + 1))
        own = slice(*np.searchsorted(row, [first, last]))

        def draw(stream: int) -> NDArray[np.float64]:
            """Draw a number in [0, 1) for each window of this rank, independent of the number of ranks."""
            return np.random.default_rng([self.seed, number, stream]).random(len(windows))[own]

        parts = self._parts(rows, windows[own], row[own] - first, place[own])
        settings = self.augmentation.at(number / self.steps)
        tokens, marks, shifts = self.split.token_cache.tokens, self.split.token_cache.marks, UNCHANGED
        if settings != ORIGINALS:
            piece = rows.windows.piece[windows[own]]
            tokens, marks, shifts, parts = self._augmented(parts, piece, draw(VARIANT_STREAM), settings)
        batch, targets = self._buffers.batch((last - first, self.context), self.pack, self.texture)
        fill_batch(tokens, marks, parts, self.split.encoding, batch, targets, shifts)
        ids, vocabulary = batch.tokens.numpy(), self.split.vocabulary
        if self.style_dropout:
            hidden = draw(STYLE_STREAM) < self.style_dropout
            ids[parts.row[hidden], parts.at[hidden] + STYLE_POSITION] = vocabulary.no_style
        if self.instrument_dropout:
            hidden = draw(INSTRUMENT_STREAM) < self.instrument_dropout
            ids[parts.row[hidden], parts.at[hidden] + INSTRUMENTATION_POSITION] = vocabulary.no_instrumentation
        return batch, targets

    def _rows(self, epoch: int) -> EpochRows:
        """Return the rows of an epoch; two are cached, since threads may work on both sides of their boundary."""
        with self._lock:
            if epoch not in self._epochs:
                kept = sorted(self._epochs, key=lambda other: abs(other - epoch))[:1]
                self._epochs = {**{other: self._epochs[other] for other in kept}, epoch: self._sampler.epoch(epoch)}
            return self._epochs[epoch]

    def _parts(
        self, rows: EpochRows, windows: NDArray[np.int64], row: NDArray[np.int64], place: NDArray[np.int64]
    ) -> Parts:
        """Lay windows out in rows; before another window, a window's last token is only a target."""
        piece, count = rows.windows.piece[windows], rows.count[windows]
        size = HEADER - 1 + count
        begins = place == 0
        at = np.cumsum(size) - size
        at -= at[begins][row]
        until = at + size
        until[np.flatnonzero(begins) - 1] = self.context  # the last window of each row: the one before each row's first
        offsets = self.split.token_cache.offsets
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

    def _augmented(
        self, parts: Parts, piece: NDArray[np.int64], uniform: NDArray[np.float64], settings: AugmentationSettings
    ) -> tuple[Tokens, NDArray[np.int64], NDArray[np.int32], Parts]:
        """Return tokens, marks, id shifts and parts of the windows' variants. `uniform`: drawn in [0, 1) by window."""
        cache, encoding = self.split.token_cache, self.split.encoding
        if is_id_shift(settings, encoding):
            shifts = id_shifts(settings, cache.transpose_ranges[piece], uniform, encoding.vocabulary)
            return cache.tokens, cache.marks, shifts, parts
        varied = [
            vary(cache[index], start, settings, encoding, chosen)
            for index, start, chosen in zip(piece.tolist(), parts.start.tolist(), uniform.tolist())
        ]
        pieces = [tokens for tokens, _ in varied]
        tokens, found = side_by_side(pieces, [start for _, start in varied], [len(tokens) for tokens in pieces])
        whole = {"first": found.first, "stop": found.stop, "length": found.length, "start": found.start}
        return tokens, UNMARKED, UNCHANGED, parts._replace(**whole)
