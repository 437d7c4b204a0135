"""The critic's windows in a training step, which stand behind the windows of language in its micro-batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from modeling.network.mixup import Mix


@dataclass(frozen=True)
class CriticRows:
    """Windows of the critic in a step, of all ranks together; none in most steps."""

    batch: Batch | None
    labels: Tensor
    """Shape (rows, context)."""
    weight: float
    """Of the critic's mean loss beside that of language."""

    @property
    def labelled(self) -> int:
        """Number of positions that are judged."""
        return int((self.labels >= 0).sum())

    def share(self, chunk: int, chunks: int) -> CriticRows:
        """Return the rows of one of several micro-batches; some may have none."""
        own = np.array_split(np.arange(len(self.labels)), chunks)[chunk]
        rows = slice(int(own[0]), int(own[-1]) + 1) if len(own) else slice(0, 0)
        batch = None if self.batch is None or not len(own) else self.batch.rows(rows)
        return CriticRows(batch, self.labels[rows], self.weight)


def join(batch: Batch, targets: Tensor, mix: Mix | None, rows: CriticRows) -> tuple[Batch, Tensor, Mix | None]:
    """Return a micro-batch with the critic's windows behind its own: without targets, and not mixed."""
    if rows.batch is None:
        return batch, targets, mix
    count = len(rows.labels)
    further = rows.batch
    if batch.document is not None:
        further = further._replace(document=torch.zeros_like(further.tokens))
    joined = Batch(
        *(
            None if a is None or b is None else torch.cat([a, b.to(a.dtype)])
            for a, b in zip(batch, further, strict=True)
        )  # type: ignore[arg-type]
    )
    ignored = torch.full((count, targets.shape[1]), IGNORED, dtype=targets.dtype, device=targets.device)
    if mix is not None:
        own = torch.arange(len(targets), len(targets) + count)
        mix = Mix(torch.cat([mix.share_b, torch.zeros(count)]), torch.cat([mix.partner_b, own]))
    return joined, torch.cat([targets, ignored]), mix
