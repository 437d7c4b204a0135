"""Executors without a network: probabilities of an n-gram, or all equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flows.evaluation.baselines.ngram import NGram
from modeling.generation.executors import DecodingState, Executor, Fields, Floats, Rows

LEAST = 1e-30
"""Probability that counts as none."""
Predict = Callable[[Rows], Floats]
"""Logits of what follows the last tokens of each row, shape (rows, width) → (rows, ids)."""


class TokenExecutor:
    """An executor whose logits depend on the last `width` tokens alone."""

    listens = False

    def __init__(self, predict: Predict, width: int) -> None:
        self.predict = predict
        self.width = width

    def prefill(self, windows: Fields, capacity: int) -> DecodingState:
        """Start from windows of shape (FIELDS, rows, positions), of which the tokens count."""
        return _State(self, windows[0])


class _State:
    is_ready = True

    def __init__(self, executor: TokenExecutor, tokens: Rows) -> None:
        self._executor = executor
        self._latest = tokens[:, max(tokens.shape[1] - executor.width, 0) :]
        self.cached = tokens.shape[1]
        self.logits: Floats = executor.predict(self._latest)

    def decode_step(self, latest: Fields) -> None:
        """Append the latest token of every row."""
        joined = np.concatenate([self._latest, latest[0][:, None]], axis=1)
        self._latest = joined[:, max(joined.shape[1] - self._executor.width, 0) :]
        self.cached += 1
        self.logits = self._executor.predict(self._latest)

    def keep(self, rows: Rows) -> None:
        """Keep these rows, in this order."""
        self._latest, self.logits = self._latest[rows], self.logits[rows]

    def release(self) -> None:
        """Free the last tokens."""
        del self._latest


def ngram_executor(model: NGram) -> Executor:
    """Return the executor of an n-gram."""

    def predict(latest: Rows) -> Floats:
        return np.log(np.maximum(model.next_probabilities(latest), LEAST)).astype(np.float32)

    return TokenExecutor(predict, model.order - 1)


def noise_executor(vocabulary_size: int) -> Executor:
    """Return the executor for which all ids are equally likely."""
    return TokenExecutor(lambda latest: np.zeros((len(latest), vocabulary_size), np.float32), 1)
