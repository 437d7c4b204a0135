"""The compiled executor: one compiled call a token, on a processor.

Many rows are divided among the processor's cores, each with as much work as makes up for handing it over; a row's bits
depend on nothing but the row. Memory of a cache is touched, and so taken, only where positions are written.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from infra.hardware import available_cores
from modeling.generation.executors.executor import Fields, Floats, Rows
from modeling.generation.kernels.attention import KeyValues
from modeling.generation.kernels.forward import FIELDS, TOKEN, Buffers, forward, new_buffers
from modeling.generation.kernels.network import pack_network
from modeling.network.transformer import MuseNet
from tokenization.compiled import machine_code

PASS = 32
"""Tokens of a prefill that go through the network together, so that its weights are read once for all of them."""

LEAST_WORK = 16_000_000
"""Weights times rows that each core computes at least: half a millisecond's work, where handing over takes a tenth."""


class CompiledExecutor:
    """A copy of a network's weights in the form of the compiled kernels."""

    def __init__(self, model: MuseNet, quantise: bool) -> None:
        """`quantise`: round matrices to 8 bits, with a scale for each row."""
        config = model.config
        self.cores = available_cores()
        """Cores that a decode step uses at most."""
        self.listens = config.listens
        self.network = pack_network(model, quantise)
        self._forward: Callable[..., None] | None = None
        self._weights = sum(parameter.numel() for parameter in model.blocks.parameters()) + model.output_table().numel()
        self._embeddings = model.embeddings
        self._cache_shape = (config.layers, config.kv_heads or config.heads, config.d_head)

    def label_rows(self, windows: Fields) -> Rows:
        """Return the rows of the tables of styles and instrumentations that the headers of windows name, (2, rows)."""
        labels = torch.from_numpy(windows[TOKEN, :, :2].astype(np.int64))
        style, groups = self._embeddings.style, self._embeddings.instrumentation
        rows = np.zeros((2, len(labels)), np.int64)
        if style is not None:
            rows[0] = style.rows(labels[:, 0]).numpy()
        if groups is not None and labels.shape[1] > 1:
            rows[1] = groups.masks(labels[:, 1]).numpy()
        return rows

    def new_cache(self, slots: int, capacity: int) -> KeyValues:
        """Return an empty cache; its memory is taken where positions are written."""
        layers, heads, size = self._cache_shape
        shape = (layers, slots, heads, capacity, size)
        return KeyValues(np.empty(shape, np.float32), np.empty(shape, np.float32))

    def forward(
        self,
        cache: KeyValues,
        fields: Rows,
        slots: Rows,
        positions: Rows,
        buffers: list[Buffers],
        first: int,
        logits: Floats,
    ) -> None:
        """Call the kernel `forward` with this network; other arguments as there, arrays in C order.

        Where logits are wanted after every token, each has a slot of its own, and they are divided among cores. Each
        part has its own of `buffers`, of which there is one at least; those that lack are added.
        """
        parts = 1 if first else self.parts(len(slots))
        while len(buffers) < parts:
            buffers.append(new_buffers(self.network, len(buffers[0].residual), len(buffers[0].room.scores)))
        bounds = np.linspace(0, len(slots), parts + 1).astype(int)

        def run(part: tuple[int, int], own: Buffers) -> None:
            taken = slice(*part)
            columns = np.ascontiguousarray(fields[:, taken])
            self._kernel(cache, columns, slots[taken], positions[taken], own, first, logits[taken])

        own, *others = zip(pairwise(bounds.tolist()), buffers)
        waiting = [self._threads.submit(run, *other) for other in others]
        run(*own)
        for each in waiting:
            each.result()

    def parts(self, rows: int) -> int:
        """Return the number of parts that the rows of a decode step are divided into."""
        return max(min(self.cores, rows, rows * self._weights // LEAST_WORK), 1)

    def _kernel(self, *arguments: object) -> None:
        if self._forward is None:
            self._forward = machine_code(forward, self.network, *arguments)
        self._forward(self.network, *arguments)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        """Threads for all parts but the first; compiled code releases the interpreter's lock."""
        return ThreadPoolExecutor(max(self.cores - 1, 1), thread_name_prefix="decode")

    def prefill(self, windows: Fields, capacity: int) -> CompiledState:
        """Run windows of shape (FIELDS, rows, positions); the cache has room for `capacity` positions a row.

        Raises ValueError for other fields and for windows that do not fit, since compiled code checks no bounds.
        """
        if len(windows) != FIELDS or windows.shape[2] > capacity:
            raise ValueError(f"windows of shape {windows.shape}: needed are {FIELDS} fields and {capacity} positions")
        return CompiledState(self, windows, capacity)


class CompiledState:
    """Rows, each with a slot of a cache."""

    is_ready = True

    def __init__(self, executor: CompiledExecutor, windows: Fields, capacity: int) -> None:
        _, rows, length = windows.shape
        self._executor = executor
        self._capacity = capacity
        self._labels = executor.label_rows(windows)
        self._cache = executor.new_cache(rows, capacity)
        self._slots = np.arange(rows)
        self._buffers = [self._new_buffers(max(PASS, rows))]
        self.logits: Floats
        self.cached = 0
        step = max(PASS // rows, 1)
        for first in range(0, length, step):
            self._append(windows[:, :, first : first + step], last=first + step >= length)

    def decode_step(self, latest: Fields) -> None:
        """Append the latest token of every row, shape (FIELDS, rows)."""
        positions = np.full(len(self._slots), self.cached)
        self._run(latest, self._labels, self._slots, positions, len(self._slots))
        self.cached += 1

    def keep(self, rows: Rows) -> None:
        """Keep these rows, in this order."""
        chosen = self._slots[rows]
        if len(np.unique(chosen)) < len(chosen):
            old, self._cache = self._cache, self._executor.new_cache(len(rows), self._capacity)
            for before, after in zip(old, self._cache):
                after[:, :, :, : self.cached] = before[:, chosen, :, : self.cached]
            chosen = np.arange(len(rows))
            if len(rows) > len(self._buffers[0].residual):
                self._buffers = [self._new_buffers(len(rows))]
        self._slots = chosen
        self._labels = self._labels[:, rows]
        self.logits = self.logits[rows]

    def release(self) -> None:
        """Free the cache."""
        del self._cache

    def _append(self, fields: Fields, last: bool) -> None:
        """Append positions, shape (FIELDS, rows, positions); compute logits after the `last` one."""
        _, rows, length = fields.shape
        # Position by position, so that the tokens whose logits are wanted are the last ones.
        ordered = fields.transpose(0, 2, 1).reshape(len(fields), -1)
        positions = np.repeat(np.arange(self.cached, self.cached + length), rows)
        labels, slots = np.tile(self._labels, length), np.tile(self._slots, length)
        self._run(ordered, labels, slots, positions, rows if last else 0)
        self.cached += length

    def _run(self, fields: Fields, labels: Rows, slots: Rows, positions: Rows, wanted: int) -> None:
        """Run tokens, fields of shape (FIELDS, tokens) and labels; compute logits after the last `wanted`."""
        rows = np.empty((FIELDS + len(labels), len(slots)), np.int64)  # in C order, which `concatenate` need not keep
        rows[:FIELDS], rows[FIELDS:] = fields, labels
        self.logits = np.empty((wanted, self._executor.network.output.bias.shape[1]), np.float32)
        first = len(slots) - wanted
        self._executor.forward(self._cache, rows, slots, positions, self._buffers, first, self.logits)

    def _new_buffers(self, rows: int) -> Buffers:
        return new_buffers(self._executor.network, rows, self._capacity)
