"""Filling an archive: windows of real pieces, composed anew by the weights of a step.

A batch of generations shares its sampler, its place in the pieces and how much of the window is real, so that all its
rows are computed together; batches are drawn one from another by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modeling.archive.files import Generation
from modeling.config.critic import ArchiveConfig, Sampler
from modeling.criticism import Generated
from modeling.data import Split
from modeling.generation import SamplingConfig, generate
from modeling.generation.executors import Executor
from modeling.network.transformer import MuseNet
from tokenization.dataset import TokenFormat, open_version, read_shard
from tokenization.encodings import HEADER

ARCHIVE_STREAM = 202
"""Random stream of what is generated."""
GOLDEN = (5**0.5 - 1) / 2
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
        self, executor: Executor, step: int, number: int, sampler: Sampler | None = None, count: int | None = None
    ) -> list[Generation]:
        """Return batch `number` of the generations of a step; the same for the same weights.

        `sampler`: None takes the configuration's in turn. `count`: None makes a whole batch. Raises ValueError where no
        piece is longer than a window.
        """
        random = np.random.default_rng([self.seed, ARCHIVE_STREAM, step, number])
        sampler = sampler or _sampler_of(self.config.samplers, step + number)
        start = self._place(random) if random.random() < self.config.anywhere else 0
        given = (self.window - HEADER) // 4 if random.random() < self.config.prompted else 0
        long_enough = np.flatnonzero(self.split.sizes > start + self.window)
        count = count or self.config.batch
        chosen = random.choice(long_enough, count, replace=count > len(long_enough)).tolist()
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
                temperature=sampler.temperature,
                top_p=sampler.top_p,
                seed=seed,
                candidate=candidate,
            )
            for candidate, (index, tokens) in enumerate(zip(chosen, made))
        ]

    def _place(self, random: np.random.Generator) -> int:
        """Return a place in a piece, all places of all pieces being equally likely."""
        spare = np.minimum(np.maximum(self.split.sizes - self.window - 1, 0), DEEPEST)
        if not spare.sum():
            return 0
        piece = int(random.choice(len(spare), p=spare / spare.sum()))
        return int(random.integers(spare[piece] + 1))


def _sampler_of(samplers: tuple[Sampler, ...], number: int) -> Sampler:
    """Return the sampler of a batch: of any row of batches each sampler has its share, up to one batch or two.

    Places at multiples of the golden ratio, modulo 1, are spread evenly (Weyl, 1916).
    """
    ends = np.cumsum([sampler.share for sampler in samplers])
    return samplers[int(np.searchsorted(ends, number * GOLDEN % 1.0 * ends[-1], side="right"))]
