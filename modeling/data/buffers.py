"""Buffers: the memory that batches are written to, used again once a batch has been dropped.

An allocator gives large arrays back to the system, and to touch a page that is handed out anew costs more than to
write what belongs there.
"""

from __future__ import annotations

from weakref import finalize

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modeling.network.batch import Batch

__all__ = ["Buffers"]


class Buffers:
    """Room for batches; several threads may ask at once.

    It keeps as much as was in use at the same time at most.
    """

    def __init__(self, pin: bool = False) -> None:
        """`pin`: memory that a GPU copies from by itself. Torch keeps that on its own, and knows when copies end."""
        self.pin = pin
        self._free: list[NDArray[np.uint8]] = []

    def batch(self, shape: tuple[int, int], pack: bool) -> tuple[Batch, Tensor]:
        """A batch and its targets, yet to be filled, of shape (rows, time); `pack`: with documents.

        Numbers are no wider than they need to be: 15 bytes for a position, 17 with documents, 19 where a row may have
        more than 2^15 of them. Whatever holds one of the tensors, or a part of one, holds the memory of all.
        """
        documents = torch.int16 if shape[1] <= 2**15 else torch.int32
        # The widest come first, so that all are aligned.
        kinds = ((torch.int32, 3), (documents, int(pack)), (torch.uint8, 3))
        sizes = [count * shape[0] * shape[1] * dtype.itemsize for dtype, count in kinds]
        parts = torch.split_with_sizes(self._memory(sum(sizes)), sizes)
        wide, document, narrow = (part.view(dtype).view(count, *shape) for part, (dtype, count) in zip(parts, kinds))
        tokens, time, targets = wide.unbind()
        chord, part, countdown = narrow.unbind()
        return Batch(tokens, time, chord, part, countdown, document[0] if pack else None), targets

    def _memory(self, size: int) -> Tensor:
        """So many bytes."""
        if self.pin:
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(size, np.uint8)
        if len(memory) != size:
            memory = np.empty(size, np.uint8)
        # The tensor and all its views hold this view of the memory, and nothing else does: it goes when they are gone.
        lent = memory[:]
        finalize(lent, self._free.append, memory).atexit = False
        return torch.from_numpy(lent)
