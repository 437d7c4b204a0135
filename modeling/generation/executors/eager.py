"""The eager executor: the network's own modules, on any device and in any precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from modeling.generation.executors.executor import Fields, Floats, Rows
from modeling.generation.kernels.forward import TEXTURE
from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet

THREADED_FROM = 1024
"""`d_model` from which on a step of one token is worth more than one thread of a processor.

Narrower ones take longer with several threads, and many times as long while other programs keep the processor busy:
an operation is as short as the time in which threads wait for each other."""


class EagerExecutor:
    """A network that computes with its own modules."""

    def __init__(self, model: MuseNet) -> None:
        self.model = model.eval()
        self.listens = model.config.listens
        self.device = model.norm.weight.device

    def prefill(self, windows: Fields, capacity: int) -> EagerState:
        """Run windows of shape (FIELDS, rows, positions); the cache has room for `capacity` positions a row."""
        return EagerState(self, windows, capacity)


class EagerState:
    """Rows with a key-value cache of tensors."""

    is_ready = True

    def __init__(self, executor: EagerExecutor, windows: Fields, capacity: int) -> None:
        model = executor.model
        self._executor = executor
        with threads_for(model, executor.device), torch.inference_mode():
            self._cache = model.new_cache(windows.shape[1], capacity)
            self._output = model.output_table()
        self.cached = 0
        self.logits: Floats = self._append(windows)

    def decode_step(self, latest: Fields) -> None:
        """Append the latest token of every row, shape (FIELDS, rows)."""
        self.logits = self._append(latest[:, :, None])

    def keep(self, rows: Rows) -> None:
        """Keep these rows, in this order."""
        chosen = torch.from_numpy(rows).to(self._executor.device)
        with torch.inference_mode():
            self._cache.keep(chosen)
        self.logits = self.logits[rows]

    def release(self) -> None:
        """Free the cache."""
        del self._cache

    def _append(self, fields: Fields) -> Floats:
        model, device = self._executor.model, self._executor.device
        batch = batch_of(torch.from_numpy(fields)).to(device)
        with threads_for(model, device), torch.inference_mode():
            states = model.states(batch, self._cache, first=self.cached)[:, -1]
            last = None if batch.texture is None else batch.texture[:, -1]
            logits: Floats = model.project(states, last, self._output).float().cpu().numpy()
        self.cached += fields.shape[2]
        return logits


def batch_of(fields: Tensor) -> Batch:
    """Return fields of shape (FIELDS, rows, positions) as a batch."""
    tokens, time, chord, part, countdown = fields[:TEXTURE]
    return Batch(tokens, time, chord, part, countdown, texture=fields[TEXTURE:].movedim(0, -1))


@contextmanager
def threads_for(model: MuseNet, device: torch.device) -> Iterator[None]:
    """Compute with as many threads as pay for the model's width; restore their number afterwards."""
    before = torch.get_num_threads()
    if device.type != "cpu" or model.config.d_model >= THREADED_FROM or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
