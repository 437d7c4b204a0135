"""Random batches, timing and peak memory, on whatever device there is: for benchmarks of the network without data."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from modeling.config import ModelConfig
from modeling.network.batch import Batch
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS
from tokenization.encodings.texture import FIELDS

VOCABULARY_SIZE, NOTE_TOKENS = 4764, 3968
"""Of the vocabulary `musenet`."""
SMALL_MODEL = {"layers": 2, "heads": 2, "d_model": 64, "context": 128}
"""Changes that make a preset small enough for any processor."""
LONGEST_TIME = 2**16
"""Ticks."""

Run = Callable[[], object]


def sized(config: ModelConfig) -> ModelConfig:
    """The shape with the sizes that MuseNet's vocabulary gives it."""
    return config.model_copy(update={"vocabulary_size": VOCABULARY_SIZE, "note_tokens": NOTE_TOKENS})


def random_batch(rows: int, length: int, device: torch.device, seed: int = 0) -> tuple[Batch, Tensor]:
    """Windows of random tokens with random features, in silence, and random targets, shape (rows, length)."""
    generator = torch.Generator().manual_seed(seed)

    def below(limit: int) -> Tensor:
        return torch.randint(limit, (rows, length), generator=generator).to(device)

    batch = Batch(
        tokens=below(VOCABULARY_SIZE),
        time=below(LONGEST_TIME).sort(dim=1).values,
        chord=below(CHORD),
        part=below(PARTS),
        countdown=below(COUNTDOWN),
        texture=torch.zeros(rows, length, FIELDS, dtype=torch.int64, device=device),
    )
    return batch, below(VOCABULARY_SIZE)


def race(contestants: Mapping[str, Run], device: torch.device, rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Seconds that each needs, from rounds in which they take turns.

    On a GPU the median round counts, on a processor, which others may use at the same time, the fastest.
    """
    pick = median if device.type == "cuda" else min
    for run in contestants.values():
        for _ in range(warm_up):
            run()
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            spent[name].append(seconds(run, device))
    return {name: pick(times) for name, times in spent.items()}


def seconds(run: Run, device: torch.device) -> float:
    """Return the duration in seconds, by the device's own clock where it has one."""
    if device.type != "cuda":
        began = time.perf_counter()
        run()
        return time.perf_counter() - began
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    first.record()
    run()
    last.record()
    torch.cuda.synchronize(device)
    return float(first.elapsed_time(last)) / 1e3


def peak_bytes(run: Run, device: torch.device) -> int:
    """The most memory that tensors take at once while it runs; on a GPU with all that is allocated before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device))
    with PeakTensors() as seen:
        run()
    return seen.peak


class PeakTensors(TorchDispatchMode):
    """Counts the bytes of all tensors that operations return, for as long as these live."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if size and place not in self.known:
            self.known.add(place)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.live -= size
