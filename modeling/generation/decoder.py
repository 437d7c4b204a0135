"""Incremental decoding under several headers at once: guidance, and blends of styles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modeling.generation.executors import DecodingState, Executor, Fields, Floats, Rows
from modeling.generation.mixture import KEPT, Header


class Decoder:
    """An executor's decoding of a batch of pieces, each once under every header.

    `prefill` fills the cache with windows, `decode_step` appends one position; `logits` are then those of the next
    tokens, a weighted sum over the headers.
    """

    def __init__(self, executor: Executor, headers: tuple[Header, ...] = (Header(),)) -> None:
        self.executor = executor
        self.headers = headers
        self._state: DecodingState | None = None
        self._pieces = 0

    @property
    def cached(self) -> int:
        """Positions in the cache."""
        return 0 if self._state is None else self._state.cached

    @property
    def is_ready(self) -> bool:
        """True if logits are there; an executor that is shared computes them when all have asked."""
        return self._filled.is_ready

    def prefill(self, windows: Fields, capacity: int) -> None:
        """Fill the cache, anew if there is one, with windows that begin with a header.

        Shape (FIELDS, pieces, positions).
        """
        copies = []
        for header in self.headers:
            copy = windows.copy()
            for place, token in enumerate(header):
                if token != KEPT:
                    copy[0, :, place] = token
            copies.append(copy)
        self.release()  # its memory is free for the new one
        self._pieces = windows.shape[1]
        self._state = self.executor.prefill(np.concatenate(copies, axis=1), capacity)

    def decode_step(self, latest: Fields) -> None:
        """Append each piece's latest token, shape (FIELDS, pieces)."""
        self._filled.decode_step(np.tile(latest, (1, len(self.headers))))

    def logits(self, weights: NDArray[np.float32]) -> Floats:
        """Return the logits of the next tokens, shape (pieces, ids or more).

        `weights`: of each header, shape (pieces, headers).
        """
        logits = self._filled.logits
        if len(self.headers) == 1:
            return logits
        by_header = np.split(logits, len(self.headers))
        total: Floats = weights[:, :1] * by_header[0]
        for number in range(1, len(self.headers)):
            total += weights[:, number : number + 1] * by_header[number]
        return total

    def keep(self, rows: Rows) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        copies = [rows + number * self._pieces for number in range(len(self.headers))]
        self._filled.keep(np.concatenate(copies))
        self._pieces = len(rows)

    def release(self) -> None:
        """Give back the memory of the cache."""
        if self._state is not None:
            self._state.release()
            self._state = None

    @property
    def _filled(self) -> DecodingState:
        if self._state is None:
            raise ValueError("prefill comes before a decode step")
        return self._state
