"""One training step: gradients accumulated over micro-batches, then an update of the weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from modeling.config import TrainingConfig
from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from modeling.network.mixup import draw_mix
from modeling.training.critic_rows import CriticRows, join
from modeling.training.deepspeed_package import deepspeed
from modeling.training.process_group import sum_over_ranks

DROPOUT_STREAM, MIX_STREAM = 101, 102
"""Independent random streams of one seed; the loader has others."""


class StepLosses(NamedTuple):
    """The losses of a step over the global batch, in nats per position."""

    language: float
    critic: float | None
    """None in steps in which the critic took no part."""


def dropout_seed(seed: int, step: int, window: int) -> int:
    """Return the dropout seed of the micro-batch that begins at the global batch's `window`."""
    mixed = seed
    for part in (DROPOUT_STREAM, step, window):
        mixed = (mixed * 6_364_136_223_846_793_005 + part + 1_442_695_040_888_963_407) % 2**63
    return mixed


def train_on_batch(
    engine: deepspeed.DeepSpeedEngine,
    training: TrainingConfig,
    step: int,
    batch: Batch,
    targets: Tensor,
    rank: int = 0,
    world_size: int = 1,
    critic: CriticRows | None = None,
) -> StepLosses:
    """Collective: update the weights by this rank's share of a global batch; return the global batch's losses.

    `targets`: shape (batch_size / world_size, context). All tokens of the global batch have the same weight, however
    it is divided among ranks and micro-batches. Dropout and mixup are functions of `training.seed`, `step` (from 0) and
    the micro-batch's place in the global batch. `critic`: the critic's windows of all ranks, none in most steps; None
    for a network without a critic.
    """
    device = engine.device
    total = sum_over_ranks((targets != IGNORED).sum().to(device))
    accumulated = len(targets) // training.micro_batch_size
    loss_sum, critic_sum = torch.zeros((), device=device), torch.zeros((), device=device)
    labelled = 0 if critic is None else critic.labelled
    for first in range(0, len(targets), training.micro_batch_size):
        window = rank * len(targets) + first
        torch.manual_seed(dropout_seed(training.seed, step, window))
        rows = slice(first, first + training.micro_batch_size)
        own = targets[rows].to(device, non_blocking=True)
        mix = draw_mix(training.mixup, step / training.steps, len(own), [training.seed, MIX_STREAM, step, window])
        share = (own != IGNORED).sum() / total
        own_batch = batch.rows(rows)
        if critic is None:
            loss = engine(own_batch.to(device), own, mix) * share
            loss_sum += loss.detach()
        else:
            chunk = rank * accumulated + first // training.micro_batch_size
            heard = critic.share(chunk, accumulated * world_size)
            joined, own, mix = join(own_batch, own, mix, heard)
            language, judged = engine(joined.to(device), own, mix, True, heard.labels.to(device)).unbind()
            judged = judged / max(labelled, 1)
            loss = language * share + critic.weight * judged
            loss_sum += (language * share).detach()
            critic_sum += judged.detach()
        # DeepSpeed averages over accumulated micro-batches and ranks; these factors make it a sum.
        engine.backward(loss * (accumulated * world_size))
        engine.step()
    language_loss = float(sum_over_ranks(loss_sum))
    return StepLosses(language_loss, float(sum_over_ranks(critic_sum)) if labelled else None)
