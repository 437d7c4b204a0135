"""Incremental decoding with guidance: the logits of the next tokens of a batch of pieces."""

from __future__ import annotations

import numpy as np

from modeling.generation.executors import DecodingState, Executor, Fields, Floats, Rows
from tokenization.vocabulary import Vocabulary


class Decoder:
    """An executor's decoding of a batch of pieces.

    `prefill` fills the cache with windows, `decode_step` appends one position; `logits` are then those of the next
    tokens. With guidance above 1 every piece has a second, unconditional row, whose header has neither style nor
    instrumentation.
    """

    def __init__(self, executor: Executor, vocabulary: Vocabulary, guidance: float = 1.0) -> None:
        self.executor = executor
        self.guidance = guidance
        self._unconditional_header = np.array([vocabulary.no_style, vocabulary.no_instrumentation])
        self._state: DecodingState | None = None

    @property
    def cached(self) -> int:
        """Positions in the cache."""
        return 0 if self._state is None else self._state.cached

    def prefill(self, windows: Fields, capacity: int) -> None:
        """Fill the cache, anew if there is one, with windows that begin with a header, shape (5, pieces, positions)."""
        if self.guidance != 1:
            unconditional = windows.copy()
            unconditional[0, :, : len(self._unconditional_header)] = self._unconditional_header
            windows = np.concatenate([windows, unconditional], axis=1)
        self._state = None  # its memory is free for the new one
        self._state = self.executor.prefill(windows, capacity)

    def decode_step(self, latest: Fields) -> None:
        """Append each piece's latest token, shape (5, pieces)."""
        self._filled.decode_step(latest if self.guidance == 1 else np.concatenate([latest, latest], axis=1))

    def logits(self) -> Floats:
        """Return the logits of the next tokens, shape (pieces, ids or more)."""
        logits = self._filled.logits
        if self.guidance == 1:
            return logits
        conditional, unconditional = np.split(logits, 2)
        return unconditional + np.float32(self.guidance) * (conditional - unconditional)

    def keep(self, rows: Rows) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        pieces = len(self._filled.logits) // 2
        self._filled.keep(rows if self.guidance == 1 else np.concatenate([rows, rows + pieces]))

    @property
    def _filled(self) -> DecodingState:
        if self._state is None:
            raise ValueError("prefill comes before a decode step")
        return self._state
