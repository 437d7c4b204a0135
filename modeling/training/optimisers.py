"""The optimisers, AdamW and Muon, and their learning-rate schedules.

Muon is DeepSpeed's own: ZeRO partitions weights into flat shares, and only DeepSpeed can assemble a whole gradient
again before it is orthogonalised.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modeling.config import TrainingConfig
from modeling.network.precision import multiplies_bf16

BETAS = (0.9, 0.95)
"""Decay of AdamW's two moments per step."""
MUON_MOMENTUM = 0.95
MUON_PREFIX = "blocks."
"""Muon trains the matrices below this name, AdamW the embeddings and the output projection (Jordan et al., 2024)."""


def learning_rate_factor(step: int, training: TrainingConfig) -> float:
    """Return the factor on the learning rates in `step`, counted from 0: a linear warm-up, then the schedule, which
    ends at `final_learning_rate`."""
    if step < training.warmup_steps:
        return (step + 1) / training.warmup_steps
    floor = training.final_learning_rate
    if training.schedule == "cosine":
        progress = (step - training.warmup_steps) / max(training.steps - training.warmup_steps, 1)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    remaining = (training.steps - step) / (training.decay * training.steps)
    return floor + (1 - floor) * min(max(remaining, 0.0), 1.0)


def build_optimiser(model: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser for DeepSpeed. Weight decay applies to matrices, not to gains and biases."""
    named = dict(model.named_parameters())
    with_muon = training.optimiser == "muon"
    matrices = {name for name, p in named.items() if with_muon and p.ndim == 2 and name.startswith(MUON_PREFIX)}
    rest: list[dict[str, Any]] = [
        {"params": [p for name, p in named.items() if name not in matrices and p.ndim >= 2]},
        {"params": [p for p in named.values() if p.ndim < 2]},
    ]
    for group, decay in zip(rest, (training.weight_decay, 0.0)):
        group |= {"lr": training.learning_rate, "weight_decay": decay, "betas": BETAS}
    rest = [group for group in rest if group["params"]]  # DeepSpeed drops empty groups, and the schedule would not fit
    if not with_muon:
        return torch.optim.AdamW(rest, fused=True)  # one pass over memory, without temporaries
    # Imported here, because runs with AdamW do not need it.
    from deepspeed.runtime.zero.muon.muon_optimizer import MuonWithAuxAdam

    if not torch.cuda.is_available():
        _adapt_muon_to_cpu()
    for name, parameter in named.items():
        parameter.use_muon = name in matrices  # type: ignore[attr-defined]  # read by DeepSpeed
    muon = {
        "params": [named[name] for name in named if name in matrices],
        "use_muon": True,
        "lr": training.muon_learning_rate,
        "momentum": MUON_MOMENTUM,
        "weight_decay": training.weight_decay,
        # The Gram form does less arithmetic in more kernels; a CPU, without fp16, takes twice as long with it.
        "ns_method": "gram" if torch.cuda.is_available() else "standard",
    }
    groups = [muon, *({**group, "use_muon": False, "eps": 1e-8} for group in rest)]
    optimiser: torch.optim.Optimizer = MuonWithAuxAdam(
        groups, adam_optimizer=torch.optim.AdamW, adam_optimizer_kwargs={"betas": BETAS}
    )
    return optimiser


def build_schedule(optimiser: torch.optim.Optimizer, training: TrainingConfig) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the schedule of all parameter groups of an optimiser, for DeepSpeed."""
    factor: Callable[[int], float] = lambda step: learning_rate_factor(step, training)  # noqa: E731
    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _adapt_muon_to_cpu() -> None:
    """Change how DeepSpeed's Muon runs on a CPU: uncompiled, and in float32 where bfloat16 is emulated.

    torch.compile takes 10 to 30 s for each matrix shape, without gain. DeepSpeed takes any CPU for one that multiplies
    bfloat16; where it does not, rounding to 8 bits saves no time and makes results depend on the order of sums, and so
    on the world size.
    """
    from deepspeed.runtime.zero.muon import original_muon

    for name in ("muon_update", "zeropower_via_newtonschulz5", "zeropower_via_gram_newtonschulz"):
        setattr(original_muon, name, inspect.unwrap(getattr(original_muon, name)))
    if not multiplies_bf16(torch.device("cpu")):
        original_muon.ns_compute_dtype = lambda ns_method="gram": torch.float32
