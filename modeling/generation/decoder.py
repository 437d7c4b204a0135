"""Incremental decoding: logits of the next tokens of a batch of pieces, with a key-value cache."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from tokenization.vocabulary import Vocabulary


class Decoder:
    """A network with a key-value cache for `pieces` pieces.

    `prefill` fills the cache with a window and `decode_step` appends one position; both return the logits of the next
    tokens, shape (pieces, vocabulary). With guidance above 1 every piece has a second, unconditional row, whose header
    has neither style nor instrumentation.
    """

    def __init__(self, model: MuseNet, vocabulary: Vocabulary, pieces: int, guidance: float = 1.0) -> None:
        self.model = model
        self.pieces = pieces
        self.guidance = guidance
        self._unconditional_header = torch.tensor([vocabulary.no_style, vocabulary.no_instrumentation])
        self._rows_per_piece = 1 if guidance == 1 else 2
        self._cache = model.new_cache(self._rows_per_piece * pieces)
        self._output_table = model.output_table()
        self.cached = 0
        """Positions in the cache."""

    @property
    def needs_prefill(self) -> bool:
        """True if no position can be appended: the cache is empty, or full."""
        return self.cached in (0, self.model.config.context)

    def prefill(self, window: Batch) -> Tensor:
        """Fill the cache, anew if there is one, with windows of shape (pieces, time) that begin with a header."""
        window = self._with_unconditional_rows(window)
        if self._rows_per_piece == 2:
            window.tokens[self.pieces :, : len(self._unconditional_header)] = self._unconditional_header
        self.cached = 0
        return self._next_logits(window)

    def decode_step(self, latest: Batch) -> Tensor:
        """Append each piece's latest token, shape (pieces, 1)."""
        return self._next_logits(self._with_unconditional_rows(latest))

    def _with_unconditional_rows(self, batch: Batch) -> Batch:
        return batch if self._rows_per_piece == 1 else Batch(*(x.repeat(2, 1) for x in batch if x is not None))

    def _next_logits(self, batch: Batch) -> Tensor:
        batch = batch.to(self._output_table.device)
        states = self.model.states(batch, self._cache, first=self.cached)[:, -1]
        self.cached += batch.tokens.shape[1]
        logits = linear(states, self._output_table)
        if self._rows_per_piece == 1:
            return logits
        conditional, unconditional = logits.float().chunk(2)
        return unconditional + self.guidance * (conditional - unconditional)
