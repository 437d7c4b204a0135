"""The generations of a critic's training: to learn from, and beside held-out pieces to calibrate and measure with.

Each set is a file of the archive, made where it is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from flows.progress import Stage
from infra.digests import canonical_digest
from modeling.archive import THIRDS, Archive, Filler, Generation
from modeling.config import ArchiveConfig, Sampler
from modeling.data import Split
from modeling.generation import ExecutorConfig, new_executor
from modeling.generation.executors import Executor
from modeling.network.transformer import MuseNet

HELD_OUT_BATCH = 4
"""Most generations beside held-out pieces that share a place: of fewer there are more places, but they take longer."""


@dataclass(frozen=True)
class Generations:
    """Draws sets of generations from the weights of one step."""

    archive: Archive
    model: MuseNet
    step: int
    families: Mapping[str, str]
    config: ArchiveConfig
    window: int
    """Tokens of a window, its header included."""
    seed: int

    def to_learn(
        self,
        name: str,
        split: Split,
        count: int,
        bar: Stage,
        chosen: Callable[[list[Generation]], list[Generation]] | None = None,
    ) -> list[Generation]:
        """Return generations by all samplers of the configuration, from the places that it says.

        `chosen`: takes those to keep from the `count` that are drawn; None keeps all. Raises ArchiveError for a file of
        another run or vocabulary.
        """
        if not self.archive.has(name):
            filler, batch = self._filler(name, split), self.config.batch
            made: list[Generation] = []
            for number in range(-(-count // batch)):
                made += filler.batch(self._executor, self.step, number, count=min(batch, count - len(made)))
                bar.update(len(made), count, name)
            self.archive.write(name, made if chosen is None else chosen(made))
        return self.archive.read(name)

    def held_out(
        self, name: str, split: Split, count: int, bar: Stage, sampler: Sampler | None = None
    ) -> list[Generation]:
        """Return generations by one sampler, or by all, as many from each third of the pieces and a few from one place.

        Raises ArchiveError for a file of another run or vocabulary.
        """
        if not self.archive.has(name):
            filler, number = self._filler(name, split), 0
            made: list[Generation] = []
            for third in range(THIRDS):
                until = count * (third + 1) // THIRDS
                while len(made) < until:
                    own = min(HELD_OUT_BATCH, until - len(made))
                    made += filler.batch(self._executor, self.step, number, sampler, own, third)
                    number += 1
                    bar.update(len(made), count, name)
            self.archive.write(name, made)
        return self.archive.read(name)

    @cached_property
    def _executor(self) -> Executor:
        return new_executor(self.model, ExecutorConfig(weights="auto"))  # as requests are answered

    def _filler(self, name: str, split: Split) -> Filler:
        """Return what draws the generations of a file: others for every name."""
        seed = int(canonical_digest([self.seed, name])[:12], 16)
        return Filler(self.model, split, self.families, self.config, self.window, seed)
