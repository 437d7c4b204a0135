"""One training step: gradients accumulated over micro-batches, then an update of the weights."""

from __future__ import annotations

import deepspeed
import torch
from torch import Tensor

from modeling.config import TrainingConfig
from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from modeling.network.mixup import draw_mix
from modeling.training.process_group import sum_over_ranks

DROPOUT_STREAM, MIX_STREAM = 101, 102
"""Independent random streams of one seed; the loader has others."""


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
) -> float:
    """Collective: update the weights by this rank's share of a global batch; return the global batch's loss.

    `targets`: shape (batch_size / world_size, context). All tokens of the global batch have the same weight, however
    it is divided among ranks and micro-batches. Dropout and mixup are functions of `training.seed`, `step` (from 0) and
    the micro-batch's place in the global batch.
    """
    device = engine.device
    total = sum_over_ranks((targets != IGNORED).sum().to(device))
    accumulated = len(targets) // training.micro_batch_size
    loss_sum = torch.zeros((), device=device)
    for first in range(0, len(targets), training.micro_batch_size):
        window = rank * len(targets) + first
        torch.manual_seed(dropout_seed(training.seed, step, window))
        rows = slice(first, first + training.micro_batch_size)
        own = targets[rows].to(device, non_blocking=True)
        mix = draw_mix(training.mixup, step / training.steps, len(own), [training.seed, MIX_STREAM, step, window])
        share = (own != IGNORED).sum() / total
        loss = engine(batch.rows(rows).to(device), own, mix) * share
        # DeepSpeed averages over accumulated micro-batches and ranks; these factors make it a sum.
        engine.backward(loss * (accumulated * world_size))
        engine.step()
        loss_sum += loss.detach()
    return float(sum_over_ranks(loss_sum))
