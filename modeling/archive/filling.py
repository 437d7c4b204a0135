"""Filling an archive: windows of real pieces, composed anew by the weights of a step.

A batch of generations shares its sampler, its place in the pieces and how much of the window is real, so that all its
rows are computed together. Batches are spread evenly over samplers, places and prompts, and go round the families: any
few of them have some of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modeling.archive.files import Generation
from modeling.config import DrawingConfig
from modeling.config.critic import ArchiveConfig, Sampler
from modeling.criticism import Generated
from modeling.data import Split
from modeling.generation import SamplingConfig, generate
from modeling.generation.direction import Direction, controls_of
from modeling.generation.executors import Executor
from modeling.network.transformer import MuseNet
from tokenization.dataset import TokenFormat, open_version, read_shard
from tokenization.encodings import HEADER

ARCHIVE_STREAM = 202
"""Random stream of what is generated."""
SPREAD = np.array([0.8191725133961645, 0.6710436067037893, 0.5497004779019703])
"""Steps of the sequence by which batches are spread, modulo 1: 1/g, 1/g² and 1/g³, g being the root of g⁴ = g + 1, a
sequence that fills a cube evenly (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018)."""
THIRDS = 3
"""Parts of a piece that windows begin in."""
ROOM = 2
"""Share of a window, as its inverse, that a piece has to be longer than one to say where in it others begin."""
DEEPEST = 4096
"""Body tokens before a window at most."""


def family_by_piece(version: Path, split: str) -> dict[str, str]:
    """Return the family of every piece of a split. Raises ShardError."""
    opened = open_version(version)
    expected = TokenFormat.of(opened.encoding)
    found: dict[str, str] = {}
    for name in opened.shards(split):
        table = read_shard(version / name, expected, ("piece_id", "family"))
        found |= zip(table.column("piece_id").to_pylist(), table.column("family").to_pylist())
    return found


def generated_of(generations: Sequence[Generation], split: Split) -> list[Generated]:
    """Return generations beside the pieces of a split as a critic learns from them."""
    index = {piece_id: number for number, piece_id in enumerate(split.piece_ids)}
    return [Generated(index[g.piece_id], g.tokens, g.start, g.prompt, g.length) for g in generations]


def direction_of(drawing: DrawingConfig) -> Direction:
    """Return how pieces are led that are drawn in a way, beside the settings of sampling."""
    return Direction(controls=controls_of(drawing), style_returns=drawing.style_returns)


def long_pieces(split: Split, window: int) -> NDArray[np.int64]:
    """Return the indices of the pieces that have a window with something behind it: those that can be composed anew."""
    return np.flatnonzero(split.sizes > window)


def third_of(start: NDArray[np.int64], length: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """Return the third of a piece in which a window begins: 0, 1 or 2, of the places where one can begin.

    `start`: its first body token, `length`: tokens of the piece; same shapes.
    """
    return np.minimum(THIRDS * start // np.maximum(length - window, 1), THIRDS - 1)


@dataclass(frozen=True)
class Filler:
    """Draws generations beside the pieces of a split."""

    model: MuseNet
    split: Split
    families: Mapping[str, str]
    config: ArchiveConfig
    window: int
    """Tokens of a window, its header included."""
    seed: int

    def batch(
        self,
        executor: Executor,
        step: int,
        number: int,
        sampler: Sampler | None = None,
        count: int | None = None,
        third: int | None = None,
    ) -> list[Generation]:
        """Return batch `number` of the generations of a step; the same for the same weights.

        `sampler`: None takes the configuration's in turn. `count`: None makes a whole batch. `third`: of the pieces, in
        which the windows begin, in the first one with the piece; None takes the configuration's share of windows that
        begin anywhere. Raises ValueError where no piece is longer than a window.
        """
        random = np.random.default_rng([self.seed, ARCHIVE_STREAM, step, number])
        point = (self._offsets + (step + number) * SPREAD) % 1.0
        sampler = sampler or _sampler_at(self.config.samplers, point[0])
        given = (self.window - HEADER) // 4 if point[1] < self.config.prompted else 0
        count = count or self.config.batch
        start, chosen = self._place(self._way(point[2], third), (step + number) * self.config.batch, count, random)
        prompt = HEADER + start + given
        pieces = [np.asarray(self.split.pieces[index]) for index in chosen]
        seed = int(random.integers(2**31))
        made = generate(
            self.model,
            self.split.encoding,
            np.stack([tokens[:prompt] for tokens in pieces]),
            [len(tokens) for tokens in pieces],
            SamplingConfig(temperature=sampler.temperature, top_p=sampler.top_p),
            seed,
            stop=start + self.window,
            direction=direction_of(sampler),
            executor=executor,
        )
        names = self.split.vocabulary.names
        return [
            Generation(
                piece_id=self.split.piece_ids[index],
                family=self.families[self.split.piece_ids[index]],
                style=self.split.styles[index],
                instrumentation=names[int(tokens[1])],
                tokens=tokens,
                start=start,
                prompt=prompt,
                length=int(self.split.sizes[index]),
                step=step,
                **sampler.model_dump(exclude={"share", "returns", "style_returns"}),
                returns=sampler.returns_of(self.split.styles[index]),
                seed=seed,
                candidate=candidate,
            )
            for candidate, (index, tokens) in enumerate(zip(chosen, made))
        ]

    def _way(self, quantile: float, third: int | None) -> float:
        """Return how far in their pieces windows begin, from 0 to 1."""
        if third is not None:
            return (third + quantile) / THIRDS if third else 0.0
        before = 1 - self.config.anywhere
        return (quantile - before) / self.config.anywhere if quantile > before else 0.0

    def _place(self, way: float, turn: int, count: int, random: np.random.Generator) -> tuple[int, list[int]]:
        """Return the first body token of the windows of a batch, and the indices of their pieces.

        The family whose turn it is, and whose piece has room, has its window at `way`; those of the others begin with
        the same token and in the same third, as far as there are enough pieces, and are of other families.
        """
        long = self._long
        if not len(long):
            raise ValueError(f"no piece has more than {self.window} tokens")
        family = self._family
        order = random.permutation(len(long))
        order = order[np.argsort((self._turns[family[order]] - turn) % len(self._turns), kind="stable")]
        spare = self.split.sizes[long] - self.window
        is_roomy = (spare >= self.window // ROOM) & (way * spare <= DEEPEST)  # one that hardly fits has no thirds
        order = order[np.argsort(~is_roomy[order] & (way > 0), kind="stable")]
        start = min(math.ceil(way * spare[order[0]]), int(spare[order[0]]) - 1, DEEPEST)
        order = order[spare[order] > start]
        third = third_of(np.full(len(order), start), self.split.sizes[long[order]], self.window)
        is_repeated = np.ones(len(order), np.bool_)
        is_repeated[np.unique(family[order], return_index=True)[1]] = False
        order = order[np.lexsort((is_repeated, third != third[0]))]
        return start, long[np.resize(order, count)].tolist()

    @cached_property
    def _long(self) -> NDArray[np.int64]:
        return long_pieces(self.split, self.window)

    @cached_property
    def _family(self) -> NDArray[np.int64]:
        """The family of each long piece, as a number."""
        names = [self.families[self.split.piece_ids[index]] for index in self._long.tolist()]
        return np.unique(names, return_inverse=True)[1]

    @cached_property
    def _turns(self) -> NDArray[np.int64]:
        """The place of each family in the order in which they have their turn."""
        return np.random.default_rng([self.seed, ARCHIVE_STREAM]).permutation(int(self._family.max(initial=-1)) + 1)

    @cached_property
    def _offsets(self) -> NDArray[np.float64]:
        """Where the sequence begins by which batches are spread."""
        return np.random.default_rng([self.seed, ARCHIVE_STREAM]).random(len(SPREAD))


def _sampler_at(samplers: tuple[Sampler, ...], quantile: float) -> Sampler:
    """Return the sampler at a quantile of the samplers' shares."""
    ends = np.cumsum([sampler.share for sampler in samplers])
    return samplers[int(np.searchsorted(ends, quantile * ends[-1], side="right"))]
