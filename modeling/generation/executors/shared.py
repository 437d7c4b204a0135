"""The shared executor: rows of several batches in the same passes of the compiled one, over one cache.

A batch takes slots of the cache when it is prefilled, and gives them back row by row as its pieces end. What batches
ask for waits until `run`, one pass for all of them, in which new batches are prefilled beside those that decode: pieces
join and leave at any token (continuous batching; Yu et al., 2022, "Orca"). A row's bits depend on nothing but the row.
It is used from one thread.
"""

from __future__ import annotations

import numpy as np

from modeling.generation.executors.compiled import CompiledExecutor
from modeling.generation.executors.executor import Fields, Floats, Rows
from modeling.generation.kernels.forward import FIELDS, new_buffers

PREFILLED = 64
"""Tokens of prompts in a pass at most, so that pieces that decode do not wait for the whole of a long prompt."""


class SharedExecutor:
    """A compiled executor with one cache for all that ask it."""

    def __init__(self, executor: CompiledExecutor, slots: int, capacity: int) -> None:
        """`slots`: rows that there is room for; `capacity`: positions of each."""
        self.listens = executor.listens
        self.executor, self.capacity = executor, capacity
        self.cache = executor.new_cache(slots, capacity)
        self.free = list(range(slots))
        """Slots that no row has."""
        self.waiting: list[SharedState] = []
        """What has tokens to append."""
        self._buffers = [new_buffers(executor.network, slots + PREFILLED, capacity)]

    def prefill(self, windows: Fields, capacity: int) -> SharedState:
        """Ask for windows of shape (FIELDS, rows, positions). Raises ValueError where they find no room."""
        if len(windows) != FIELDS or max(windows.shape[2], capacity) > self.capacity:
            raise ValueError(f"windows of shape {windows.shape}: needed are {FIELDS} fields, {self.capacity} positions")
        return SharedState(self, windows)

    def take(self, count: int) -> Rows:
        """Return slots that were free. Raises ValueError where there are not so many."""
        if count > len(self.free):
            raise ValueError(f"{count} rows find no room: {len(self.free)} slots are free")
        taken, self.free = self.free[:count], self.free[count:]
        return np.array(taken, np.int64)

    def run(self) -> int:
        """Make one pass for all that wait; return its tokens. Of long prompts a part is computed."""
        room, silent, heard = PREFILLED, [], []
        for state in self.waiting:
            rows, left = len(state.slots), state.pending.shape[2]
            if left > 1 and room <= 0:
                continue
            positions = 1 if left == 1 else min(left, max(room // rows, 1))
            room -= positions * rows if left > 1 else 0
            part = state.part(positions)
            # Tokens whose logits are wanted stand behind the others.
            border = part.shape[1] - (rows if positions == left else 0)
            silent.append(part[:, :border])
            if positions == left:
                heard.append((state, part[:, border:]))
        if not silent:
            return 0
        wanted = [part for _, part in heard]
        logits = self._pass(np.concatenate([*silent, *wanted], axis=1), sum(part.shape[1] for part in wanted))
        at = 0
        for state, part in heard:
            state.hear(logits[at : at + len(part[0])])
            at += len(part[0])
        self.waiting = [state for state in self.waiting if not state.is_ready]
        return sum(len(part[0]) for part in silent) + at

    def _pass(self, tokens: Rows, wanted: int) -> Floats:
        """Run fields, labels, slots and positions of tokens; return the logits after the last `wanted`."""
        logits = np.empty((wanted, self.executor.network.output.bias.shape[1]), np.float32)
        *_, slots, positions = np.ascontiguousarray(tokens)
        fields = np.ascontiguousarray(tokens[:-2])
        first = tokens.shape[1] - wanted
        self.executor.forward(self.cache, fields, slots, positions, self._buffers, first, logits)
        return logits


class SharedState:
    """Rows of one batch, each with a slot of the shared cache."""

    def __init__(self, shared: SharedExecutor, windows: Fields) -> None:
        self._shared = shared
        self._labels = shared.executor.label_rows(windows)
        self.slots = shared.take(windows.shape[1])
        self.logits: Floats = np.empty((0, 0), np.float32)
        self.cached = windows.shape[2]
        """Positions in the cache, those that are asked for included."""
        self.pending = windows
        """Tokens to append, shape (FIELDS, rows, positions)."""
        self.is_ready = False
        self._kept: Rows | None = None
        """The rows to keep once `pending` is computed."""
        shared.waiting.append(self)

    def decode_step(self, latest: Fields) -> None:
        """Ask for the latest token of every row, shape (FIELDS, rows)."""
        self.pending, self.is_ready = latest[:, :, None], False
        self.cached += 1
        self._shared.waiting.append(self)

    def keep(self, rows: Rows) -> None:
        """Keep these rows, in this order; one that is named more than once is copied."""
        if not self.is_ready:
            self._kept = rows if self._kept is None else self._kept[rows]
            return
        shared, own = self._shared, self.slots[rows]
        _, first = np.unique(own, return_index=True)
        copies = np.setdiff1d(np.arange(len(own)), first)
        shared.free += np.setdiff1d(self.slots, own).tolist()
        slots = own.copy()
        slots[copies] = shared.take(len(copies))
        for copy in copies:
            for cache in shared.cache:
                cache[:, slots[copy], :, : self.cached] = cache[:, own[copy], :, : self.cached]
        self.slots, self._labels, self.logits = slots, self._labels[:, rows], self.logits[rows]

    def release(self) -> None:
        """Give back the slots."""
        self._shared.free += self.slots.tolist()
        self._shared.waiting = [state for state in self._shared.waiting if state is not self]

    def part(self, positions: int) -> Rows:
        """Take the first positions that are pending: fields, labels, slots and positions of each token, by position."""
        first = self.cached - self.pending.shape[2]
        taken, self.pending = self.pending[:, :, :positions], self.pending[:, :, positions:]
        fields = taken.transpose(0, 2, 1).reshape(len(taken), -1)
        labels, slots = np.tile(self._labels, positions), np.tile(self.slots, positions)
        places = np.repeat(np.arange(first, first + positions), len(self.slots))
        return np.concatenate([fields, labels, slots[None], places[None]])

    def hear(self, logits: Floats) -> None:
        """Take the logits behind all that was pending."""
        self.logits, self.is_ready = logits, True
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self.keep(kept)
