"""The optimisers, AdamW and Muon, and how their learning rates rise and fall.

Muon is DeepSpeed's own: ZeRO cuts weights into flat shares, and only DeepSpeed can put a gradient together again
before it is orthogonalised.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modeling.config import TrainingConfig

BETAS = (0.9, 0.95)
"""Decay of AdamW's two moments per step."""
MUON_MOMENTUM = 0.95
MUON_PREFIX = "blocks."
"""Muon trains the matrices below this name; tables and the output's projection are AdamW's (Jordan et al., 2024)."""


def learning_rate_factor(step: int, training: TrainingConfig) -> float:
    """The factor on the learning rates in `step`, counted from 0: a linear warm-up, then the schedule, which ends at
    `final_learning_rate`."""
    if step < training.warmup_steps:
        return (step + 1) / training.warmup_steps
    floor = training.final_learning_rate
    if training.schedule == "cosine":
        progress = (step - training.warmup_steps) / max(training.steps - training.warmup_steps, 1)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    remaining = (training.steps - step) / (training.decay * training.steps)
    return floor + (1 - floor) * min(max(remaining, 0.0), 1.0)


def optimiser_for(model: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser, to be handed to DeepSpeed. Matrices decay; gains and biases do not."""
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
        return torch.optim.AdamW(rest, fused=True)  # one pass over memory, and no temporaries
    # Imported here, as AdamW's runs need not wait for it.
    from deepspeed.runtime.zero.muon.muon_optimizer import MuonWithAuxAdam

    if not torch.cuda.is_available():
        _leave_uncompiled()
    for name, parameter in named.items():
        parameter.use_muon = name in matrices  # type: ignore[attr-defined]  # where DeepSpeed looks for it
    muon = {
        "params": [named[name] for name in named if name in matrices],
        "use_muon": True,
        "lr": training.muon_learning_rate,
        "momentum": MUON_MOMENTUM,
        "weight_decay": training.weight_decay,
        # The Gram form does less arithmetic in more steps: a CPU, which has no fp16 for it, takes twice as long.
        "ns_method": "gram" if torch.cuda.is_available() else "standard",
    }
    groups = [muon, *({**group, "use_muon": False, "eps": 1e-8} for group in rest)]
    optimiser: torch.optim.Optimizer = MuonWithAuxAdam(
        groups, adam_optimizer=torch.optim.AdamW, adam_optimizer_kwargs={"betas": BETAS}
    )
    return optimiser


def schedule_for(optimiser: torch.optim.Optimizer, training: TrainingConfig) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule of all the optimiser's groups, to be handed to DeepSpeed."""
    factor: Callable[[int], float] = lambda step: learning_rate_factor(step, training)  # noqa: E731
    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _leave_uncompiled() -> None:
    """Take torch.compile off Muon's kernels: on a CPU it takes 10 to 30 s for each shape of matrix and wins nothing."""
    from deepspeed.runtime.zero.muon import original_muon

    for name in ("muon_update", "zeropower_via_newtonschulz5", "zeropower_via_gram_newtonschulz"):
        setattr(original_muon, name, inspect.unwrap(getattr(original_muon, name)))
