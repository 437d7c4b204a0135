"""Finding the checkpoint to resume from, restoring it, and gathering a run's whole weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeling.training.checkpoints.files import (
    Checkpoint,
    CheckpointError,
    Partitioning,
    find,
    reason,
    remove_leftovers,
)
from modeling.training.checkpoints.saving import gather_from_ranks, partitioning_of
from modeling.training.checkpoints.universal import load_universal, to_universal
from modeling.training.deepspeed_package import comm, deepspeed


def find_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest intact checkpoint, None if there is none, and a warning about each newer, damaged one.

    Collective in a process group, where rank 0 reads for all; otherwise for a single process.
    """
    if not comm.is_initialized():
        return find(folder)
    found: tuple[Checkpoint | None, list[str]] = gather_from_ranks(find(folder) if comm.get_rank() == 0 else None)[0]
    return found


def restore(engine: deepspeed.DeepSpeedEngine, checkpoint: Checkpoint) -> dict[str, Any]:
    """Collective: restore weights, optimiser and schedule; return the state given to `save`.

    The world size, offloading, the precision, and stage 1 or 2 may have changed since; training then resumes, though
    not bit for bit. Raises CheckpointError, on all ranks, for any other change.
    """
    saved, wanted, path = checkpoint.partitioning, partitioning_of(engine), checkpoint.path
    if saved == wanted:
        engine.load_checkpoint(str(path.parent), tag=path.name)
        return checkpoint.state
    _check_convertible(saved, wanted, path)
    universal = path.parent / f".{path.name}.universal"
    failure = None
    if comm.get_rank() == 0:
        remove_leftovers(path.parent)
        try:
            to_universal(checkpoint, universal)
        except (OSError, RuntimeError) as error:
            failure = reason(error)
            shutil.rmtree(universal, ignore_errors=True)
    failure = gather_from_ranks(failure)[0]
    if failure is not None:
        raise CheckpointError(
            f"the checkpoint {path} of {saved.ranks} ranks cannot be converted for {wanted.ranks} ({failure}): make "
            f"room for another one beside it, or go on with {saved.ranks}"
        )
    load_universal(engine, universal, wanted)
    comm.barrier()
    if comm.get_rank() == 0:
        shutil.rmtree(universal, ignore_errors=True)
    return checkpoint.state


def _check_convertible(saved: Partitioning, wanted: Partitioning, path: Path) -> None:
    """Raise CheckpointError for a change that the universal checkpoint does not support."""
    if saved.optimiser != wanted.optimiser:
        raise CheckpointError(
            f"the checkpoint {path} was saved by {saved.optimiser} and the run has {wanted.optimiser}: set "
            "training.optimiser back, or start a new run"
        )
    if (saved.zero_stage == 3) != (wanted.zero_stage == 3):
        raise CheckpointError(
            f"the checkpoint {path} was saved with training.zero_stage={saved.zero_stage} and the run has "
            f"{wanted.zero_stage}: only 1 and 2 can be exchanged; set it back, or start a new run"
        )


def full_state_dict(engine: deepspeed.DeepSpeedEngine) -> dict[str, Tensor] | None:
    """Collective: return the network's weights on the CPU, in the 32 bits in which they are trained; None except on
    rank 0.

    Weights are gathered from the ranks one at a time. Buffers are returned as the network has them.
    """
    weights = {}
    for name, parameter in engine.module.named_parameters():
        whole = deepspeed.utils.safe_get_full_fp32_param(parameter)
        if comm.get_rank() == 0:
            shape = getattr(parameter, "ds_shape", parameter.shape)  # stage 3 partitions the parameter itself
            weights[name] = whole.detach().to("cpu", torch.float32, copy=True).view(shape)
    if comm.get_rank() != 0:
        return None
    state = engine.module.state_dict()
    return {name: weights[name] if name in weights else value.detach().cpu().clone() for name, value in state.items()}
