"""The layout protocol, and layouts with a closed form. Axes: h head, t time, n block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Layout(Protocol):
    """A causal attention pattern; hashable, so that what is derived from it can be cached."""

    def __hash__(self) -> int: ...

    @property
    def heads(self) -> int:
        """Number of heads with a pattern of their own. 1: all heads share one."""
        ...

    def mask(self, length: int) -> Tensor:
        """Return the mask of pairs (query, key), shape (heads, length, length), bool."""
        ...

    def keys(self, position: int) -> slice | Tensor:
        """Return the keys of the query at `position`: a slice, or a mask of shape (heads, position + 1), bool."""
        ...

    def pairs(self, length: int) -> float:
        """Count the kept query–key pairs, as a mean over heads; no mask is built."""
        ...


def density(layout: Layout, length: int) -> float:
    """Return the kept query–key pairs as a fraction of those of dense causal attention."""
    return layout.pairs(length) / _triangle(length)


def _triangle(length: int) -> int:
    return length * (length + 1) // 2


@dataclass(frozen=True)
class Dense:
    """Every earlier position."""

    heads = 1

    def mask(self, length: int) -> Tensor:
        return torch.ones(1, length, length, dtype=torch.bool).tril()

    def keys(self, position: int) -> slice:
        return slice(0, position + 1)

    def pairs(self, length: int) -> float:
        return _triangle(length)


@dataclass(frozen=True)
class Column:
    """Every `stride`-th position back from the position itself."""

    stride: int
    heads = 1

    def mask(self, length: int) -> Tensor:
        position = torch.arange(length)
        back = position[:, None] - position
        return ((back >= 0) & (back % self.stride == 0))[None]

    def keys(self, position: int) -> slice:
        return slice(position % self.stride, position + 1, self.stride)

    def pairs(self, length: int) -> float:
        whole, rest = divmod(length, self.stride)
        return rest * _triangle(whole + 1) + (self.stride - rest) * _triangle(whole)


class BlockLayout:
    """A layout by which blocks of queries keep whole blocks of keys, their own one up to the position itself."""

    block: int
    heads: int = 1

    def table(self, blocks: int) -> Tensor:
        """Return the mask of pairs of blocks, earlier and own ones, shape (heads, blocks, blocks), bool."""
        raise NotImplementedError

    def row(self, index: int) -> Tensor:
        """Return the last row of `table(index + 1)`, shape (heads, index + 1)."""
        raise NotImplementedError

    def counts(self, blocks: int) -> Tensor:
        """Count the blocks that each block keeps, its own included, shape (heads, blocks); no table is built."""
        raise NotImplementedError

    def mask(self, length: int) -> Tensor:
        table = self.table(-(-length // self.block))
        seen = table.repeat_interleave(self.block, 1).repeat_interleave(self.block, 2)
        return seen[:, :length, :length].tril()

    def keys(self, position: int) -> slice | Tensor:
        return self.row(position // self.block).repeat_interleave(self.block, 1)[:, : position + 1]

    def pairs(self, length: int) -> float:
        others = self.counts(-(-length // self.block)).double().mean(0) - 1
        whole, rest = divmod(length, self.block)
        sizes = torch.tensor([self.block] * whole + [rest] * (rest > 0), dtype=torch.float64)
        own = whole * _triangle(self.block) + _triangle(rest)
        return float((others * sizes).sum()) * self.block + own


@dataclass(frozen=True)
class Local(BlockLayout):
    """A sliding window: the position's own block and the `before` blocks before it."""

    block: int
    before: int = 1

    def table(self, blocks: int) -> Tensor:
        return torch.ones(1, blocks, blocks, dtype=torch.bool).tril().triu(-self.before)

    def counts(self, blocks: int) -> Tensor:
        return torch.arange(blocks).clamp(max=self.before)[None] + 1

    def keys(self, position: int) -> slice:
        return slice(max(position // self.block - self.before, 0) * self.block, position + 1)


@dataclass(frozen=True)
class BlockDiagonal(BlockLayout):
    """Adjacent windows of `block` positions: a position attends within its own one."""

    block: int

    def table(self, blocks: int) -> Tensor:
        return torch.eye(blocks, dtype=torch.bool)[None]

    def counts(self, blocks: int) -> Tensor:
        return torch.ones(1, blocks)

    def keys(self, position: int) -> slice:
        return slice(position // self.block * self.block, position + 1)


@dataclass(frozen=True)
class Halves:
    """Two layouts: one for the first half of the heads, another for the second half."""

    first: Layout
    second: Layout
    heads: int

    def mask(self, length: int) -> Tensor:
        return self._joined(self.first.mask(length), self.second.mask(length))

    def keys(self, position: int) -> Tensor:
        return self._joined(*(self._seen(half, position) for half in (self.first, self.second)))

    def pairs(self, length: int) -> float:
        return (self.first.pairs(length) + self.second.pairs(length)) / 2

    def _joined(self, *halves: Tensor) -> Tensor:
        return torch.cat([half.expand(self.heads // 2, *half.shape[1:]) for half in halves])

    @staticmethod
    def _seen(half: Layout, position: int) -> Tensor:
        keys = half.keys(position)
        if isinstance(keys, Tensor):
            return keys
        seen = torch.zeros(1, position + 1, dtype=torch.bool)
        seen[:, keys] = True
        return seen
