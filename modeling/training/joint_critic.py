"""Joint training of a critic: an archive of the network's past generations, and windows for the critic among a step's.

The archive is filled every so many steps from the weights of that step, for a share of the time of training. A filling
that is on disk is taken as it is: a run that was killed and resumes hears the same generations again, and comes to the
same weights, though the number of generations depends on the clock.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from infra.errors import UserError
from infra.wording import counted
from modeling.archive import Archive, Filler, Generation, family_by_piece, generated_of, long_pieces
from modeling.config import ModelConfig, RunConfig
from modeling.config.critic import JointCritic
from modeling.criticism import Lessons, batch_of, labels_of
from modeling.data import Split
from modeling.generation import new_executor
from modeling.network.batch import Batch
from modeling.network.loss import UNHEARD
from modeling.network.weights import from_weights
from modeling.training.critic_rows import CriticRows
from tokenization.dataset import TokenFormat

JOINT_STREAM = 203
"""Random stream of the critic's windows."""


class JointTraining:
    """The archive of a run and the critic's windows, on every rank."""

    def __init__(self, run: RunConfig, settings: JointCritic, split: Split) -> None:
        """Raises UserError where too few pieces are longer than a window, ShardError for a damaged shard."""
        assert run.archive is not None
        self.run = run
        self.settings = settings
        self.split = split
        self.window = min(settings.window, run.model.context)
        self.archive = Archive(run.archive, run.folder.name, TokenFormat.of(split.encoding), every=settings.fill_every)
        found = len(long_pieces(split, self.window))
        if not found:
            raise UserError(
                f"training.critic needs training pieces of more than {self.window} tokens, and "
                f"{counted(found, 'piece')} of the dataset has: lower training.critic.window"
            )
        self.families = family_by_piece(run.dataset, "train")
        self._lessons: tuple[int, Lessons] | None = None

    def is_filled_at(self, step: int) -> bool:
        """Return True if the archive is to be filled before a step."""
        return step > 0 and step % self.settings.fill_every == 0

    def fill(
        self, step: int, config: ModelConfig, weights: dict[str, Tensor], device: torch.device, budget: float
    ) -> int:
        """Generate from the weights of a step for `budget` seconds, one batch at least; return the generations made.

        Nothing is made where the filling of that step is on disk. For rank 0.
        """
        name = self.archive.name_of(step)
        if self.archive.has(name):
            return 0
        begun = time.perf_counter()
        model = from_weights(config, weights, device)
        filler = Filler(model, self.split, self.families, self.settings.archive, self.window, self.run.training.seed)
        executor = new_executor(model)
        made: list[Generation] = []
        while not made or time.perf_counter() - begun < budget:
            made += filler.batch(executor, step, len(made) // self.settings.archive.batch)
        self.archive.write(name, made)
        return len(made)

    def rows(self, step: int) -> CriticRows:
        """Return the critic's windows of a step: a function of the step and of the archive at its last filling."""
        context = self.run.model.context
        if step % self.settings.every:
            return CriticRows(None, torch.zeros(0, context), self.settings.weight)
        windows = self._lessons_at(step).draw(
            self.settings.rows // 2, np.random.default_rng([self.run.training.seed, JOINT_STREAM, step])
        )
        batch, music = batch_of(windows, self.window, self.split.encoding)
        rest = (0, context - self.window)
        padding = self.split.vocabulary.pad
        fields = [pad(x, rest, value=padding if number == 0 else 0) for number, x in enumerate(batch[:5])]
        texture = None
        if self.run.model.listens and batch.texture is not None:
            texture = pad(batch.texture, (0, 0, *rest))
        labels = pad(labels_of(windows, music), rest, value=UNHEARD)
        return CriticRows(Batch(*fields)._replace(texture=texture), labels, self.settings.weight)

    def _lessons_at(self, step: int) -> Lessons:
        filled = step // self.settings.fill_every * self.settings.fill_every
        if self._lessons is None or self._lessons[0] != filled:
            found = self.archive.at(filled, self.settings.archive.most)
            lessons = Lessons(self.split, generated_of(found, self.split), self.window, self.settings.damaged)
            self._lessons = filled, lessons
        return self._lessons[1]
