"""The recorded executor: steps of the eager one as a CUDA graph, one launch a token instead of hundreds.

What is recorded runs again on the same memory, so a step reads its tokens and its position from tensors that stay where
they are, looks at the whole cache through a mask, and keeps its number of rows: pieces that have ended go along until
they are half of all. Where there is no CUDA device the same operations run one by one.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor

from modeling.generation.executors.eager import EagerExecutor, EagerState, batch_of, threads_for
from modeling.generation.executors.executor import Fields, Floats, Rows
from modeling.generation.kernels.forward import FIELDS
from modeling.network.transformer import ModelCache, MuseNet

LOG = logging.getLogger(__name__)
WARM_UP = 3
"""Steps before the recording, in which libraries choose their kernels and take their memory."""


class RecordedExecutor(EagerExecutor):
    """A network whose steps are recorded."""

    def prefill(self, windows: Fields, capacity: int) -> RecordedState:
        """Run windows of shape (FIELDS, rows, positions); the cache has room for `capacity` positions a row."""
        return RecordedState(self, windows, capacity)


class RecordedState(EagerState):
    """Rows that are decoded by a recorded step, which is made at the first of them."""

    def __init__(self, executor: EagerExecutor, windows: Fields, capacity: int) -> None:
        super().__init__(executor, windows, capacity)
        with torch.inference_mode():  # memory that was never written may hold NaN, which no weight makes 0
            for layer in self._cache.layers:
                layer.key_bktd[:, :, self.cached :] = 0
                layer.value_bktd[:, :, self.cached :] = 0
        self._place = np.arange(windows.shape[1])
        """Of each row in the cache and in the step."""
        self._step: _Step | None = None

    def decode_step(self, latest: Fields) -> None:
        """Append the latest token of every row, shape (FIELDS, rows)."""
        executor = self._executor
        with threads_for(executor.model, executor.device), torch.inference_mode():
            if self._step is None:
                self._step = _Step(executor.model, self._cache, self._output)
            self.logits = self._step.run(latest, self._place, self.cached)
        self.cached += 1

    def keep(self, rows: Rows) -> None:
        """Keep these rows, in this order; one that is named more than once is copied."""
        place = self._place[rows]
        has_copies = len(np.unique(place)) < len(place)
        if self._step is None or has_copies or 2 * len(place) <= self._step.rows:
            self._step = None
            with torch.inference_mode():
                self._cache.keep(torch.from_numpy(place).to(self._executor.device))
            place = np.arange(len(place))
        self._place, self.logits = place, self.logits[rows]

    def release(self) -> None:
        """Free the cache and the recording."""
        self._step = None
        super().release()


class _Step:
    """The computation of the next logits of all rows of a cache."""

    def __init__(self, model: MuseNet, cache: ModelCache, output: Tensor) -> None:
        self.rows = cache.labels.shape[1]
        self._model, self._cache, self._output = model, cache, output
        device = output.device
        self._fields = torch.zeros((FIELDS, self.rows, 1), dtype=torch.int64, device=device)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._logits = torch.empty(0)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._is_new = device.type == "cuda"

    def run(self, latest: Fields, place: Rows, position: int) -> Floats:
        """Return the logits behind the latest tokens, shape (FIELDS, places), at a position."""
        fields = np.zeros((FIELDS, self.rows, 1), np.int64)
        fields[:, place, 0] = latest
        self._fields.copy_(torch.from_numpy(fields))
        self._position.fill_(position)
        if self._is_new:
            self._record()
        if self._graph is None:
            self._compute()
        else:
            self._graph.replay()
        logits: Floats = self._logits.float().cpu().numpy()[place]
        return logits

    def _compute(self) -> None:
        batch = batch_of(self._fields)
        states = self._model.states(batch, self._cache, first=self._position)[:, -1]
        last = None if batch.texture is None else batch.texture[:, -1]
        self._logits = self._model.project(states, last, self._output)

    def _record(self) -> None:
        """Record the step; it may run any number of times at one position."""
        self._is_new = False
        device = self._output.device
        own, before = torch.cuda.Stream(device), torch.cuda.current_stream(device)  # type: ignore[no-untyped-call]
        own.wait_stream(before)
        with torch.cuda.stream(own):
            for _ in range(WARM_UP):
                self._compute()
        before.wait_stream(own)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._compute()
        except RuntimeError as error:
            LOG.warning("a step cannot be recorded as a CUDA graph and runs operation by operation: %s", error)
            return
        self._graph = graph
