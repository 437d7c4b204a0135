"""Layouts: which earlier positions each position attends to.

A layout answers three questions with one definition: the full mask (the oracle that executors are tested
against), the keys of a single position (generation with a cache), and its share of dense attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modeling.config import SparsityConfig


class Layout(Protocol):
    """A causal attention pattern."""

    def mask(self, length: int) -> Tensor:
        """Whether query i sees key j, shape (length, length), bool."""
        ...

    def keys(self, position: int) -> slice:
        """The keys that the query at `position` sees."""
        ...


def _causal(length: int) -> tuple[Tensor, Tensor, Tensor]:
    query = torch.arange(length)[:, None]
    key = torch.arange(length)[None, :]
    return query, key, key <= query


@dataclass(frozen=True)
class Dense:
    """Every earlier position."""

    def mask(self, length: int) -> Tensor:
        return _causal(length)[2]

    def keys(self, position: int) -> slice:
        return slice(0, position + 1)


@dataclass(frozen=True)
class Local:
    """The position's own block and the block before it."""

    block: int

    def mask(self, length: int) -> Tensor:
        query, key, causal = _causal(length)
        return causal & (query // self.block - key // self.block <= 1)

    def keys(self, position: int) -> slice:
        return slice(max(position // self.block - 1, 0) * self.block, position + 1)


@dataclass(frozen=True)
class Column:
    """Every `stride`-th position back from the position itself."""

    stride: int

    def mask(self, length: int) -> Tensor:
        query, key, causal = _causal(length)
        return causal & ((query - key) % self.stride == 0)

    def keys(self, position: int) -> slice:
        return slice(position % self.stride, position + 1, self.stride)


def layer_layouts(config: SparsityConfig, layers: int) -> list[Layout]:
    """The layout of each layer. Local layers come first and alternate with strided ones."""
    local, column = Local(config.block), Column(config.stride)
    cycle: dict[str, tuple[Layout, ...]] = {"dense": (Dense(),), "local": (local,), "strided": (local, column)}
    pattern = cycle[config.mode]
    return [pattern[layer % len(pattern)] for layer in range(layers)]


def density(layout: Layout, length: int) -> float:
    """Kept query–key pairs as a share of dense causal attention."""
    return float(layout.mask(length).sum()) / (length * (length + 1) / 2)
