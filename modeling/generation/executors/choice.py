"""The choice of an executor."""

from __future__ import annotations

from typing import Literal

import torch

from infra.errors import UserError
from modeling.config import Weights
from modeling.config.base import StrictModel
from modeling.generation.executors.compiled import CompiledExecutor
from modeling.generation.executors.eager import EagerExecutor
from modeling.generation.executors.executor import Executor
from modeling.generation.executors.recorded import RecordedExecutor
from modeling.generation.executors.shared import SharedExecutor
from modeling.network.transformer import MuseNet


class ExecutorError(UserError, ValueError):
    """An executor that the device or the model's precision does not allow; the message names one that they do."""


class ExecutorConfig(StrictModel):
    """How logits are computed."""

    executor: Literal["auto", "eager", "compiled", "recorded"] = "auto"
    """`compiled`: one compiled call a token, on a processor. `eager`: PyTorch's operations, on any device. `recorded`:
    the same as a CUDA graph a token, where there is CUDA. `auto`: compiled or recorded where it can be."""
    weights: Weights = "fp32"
    """`int8`: matrices rounded to 8 bits with a scale for each row, which are read in a quarter of the time; only
    `compiled`. `auto`: that, where it is compiled."""


def resolved(model: MuseNet, config: ExecutorConfig) -> ExecutorConfig:
    """Return the configuration with what `auto` stands for, for a model. Raises ExecutorError."""
    weight = model.norm.weight
    compilable = weight.device.type == "cpu" and weight.dtype == torch.float32
    if config.executor == "compiled" and not compilable:
        raise ExecutorError(
            f"executor=compiled is for 32-bit models on a CPU, not {weight.dtype} on {weight.device}: "
            "take executor=eager or auto"
        )
    if config.executor in ("auto", "compiled") and compilable:
        return ExecutorConfig(executor="compiled", weights="fp32" if config.weights == "fp32" else "int8")
    if config.weights == "int8":
        raise ExecutorError("weights=int8 is for executor=compiled, on a CPU: take weights=fp32")
    records = config.executor == "recorded" or (config.executor == "auto" and weight.device.type == "cuda")
    return ExecutorConfig(executor="recorded" if records else "eager")


def new_executor(model: MuseNet, config: ExecutorConfig | None = None) -> Executor:
    """Return an executor of a model, whose weights are those of now. Raises ExecutorError."""
    choice = resolved(model, ExecutorConfig() if config is None else config)
    if choice.executor == "compiled":
        return CompiledExecutor(model, quantise=choice.weights == "int8")
    return RecordedExecutor(model) if choice.executor == "recorded" else EagerExecutor(model)


def share(executor: Executor, slots: int, capacity: int) -> Executor:
    """Return an executor of `slots` rows for several batches at once: a shared one where it is compiled.

    An eager one computes for each batch by itself, whenever that asks.
    """
    return SharedExecutor(executor, slots, capacity) if isinstance(executor, CompiledExecutor) else executor
