"""Reusable memory for batches.

An allocator returns large arrays to the system, and the page faults of fresh memory cost more than filling it.
"""

from __future__ import annotations

from weakref import finalize

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modeling.network.batch import Batch
from tokenization.encodings.texture import FIELDS


class Buffers:
    """A pool of memory for batches. Thread-safe.

    Memory returns to the pool once its batch is dropped; the pool grows to the most that was in use at a time.
    """

    def __init__(self, pin: bool = False) -> None:
        """Create an empty pool. `pin`: use pinned memory; PyTorch pools that itself, as it knows when copies end."""
        self.pin = pin
        self._free: list[NDArray[np.uint8]] = []

    def batch(self, shape: tuple[int, int], pack: bool, texture: bool = False) -> tuple[Batch, Tensor]:
        """Return an uninitialised batch and its targets, shape (rows, time); `pack`: with documents.

        Integers are as narrow as possible: 15 bytes a position, 17 with documents, 19 where a row may have more than
        2^15 of them, and 96 more with `texture`. A reference to one of the tensors, or to a view of one, keeps the
        memory of all.
        """
        documents = torch.int16 if shape[1] <= 2**15 else torch.int32
        # Widest first, so that all are aligned.
        textures = FIELDS if texture else 0
        kinds = ((torch.int64, textures), (torch.int32, 3), (documents, int(pack)), (torch.uint8, 3))
        sizes = [count * shape[0] * shape[1] * dtype.itemsize for dtype, count in kinds]
        parts = torch.split_with_sizes(self._memory(sum(sizes)), sizes)
        widest, wide, document, narrow = (
            part.view(dtype).view(count, *shape) for part, (dtype, count) in zip(parts, kinds)
        )
        tokens, time, targets = wide.unbind()
        chord, part, countdown = narrow.unbind()
        batch = Batch(
            tokens,
            time,
            chord,
            part,
            countdown,
            document=document[0] if pack else None,
            texture=widest.view(*shape, FIELDS) if texture else None,
        )
        return batch, targets

    def _memory(self, size: int) -> Tensor:
        """Return `size` bytes, uninitialised."""
        if self.pin:
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(size, np.uint8)
        if len(memory) != size:
            memory = np.empty(size, np.uint8)
        # Only the tensor and its views refer to this view of the memory; when it dies with them, the memory is free.
        lent = memory[:]
        finalize(lent, self._free.append, memory).atexit = False
        return torch.from_numpy(lent)
