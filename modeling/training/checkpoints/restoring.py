"""Finding the checkpoint to go on from, putting it back, and gathering the weights of a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import deepspeed
import deepspeed.comm as comm
import torch
from torch import Tensor

from modeling.training.checkpoints.files import Checkpoint, CheckpointError, Form, find, reason, remove_leftovers
from modeling.training.checkpoints.saving import exchange, form_of
from modeling.training.checkpoints.universal import load_universal, to_universal


def newest_good(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint all of whose files are what was written, and a remark on each newer one that is not.

    Collective where ranks are connected, as rank 0 reads for all; else for anyone. None: there is none.
    """
    if not comm.is_initialized():
        return find(folder)
    found: tuple[Checkpoint | None, list[str]] = exchange(find(folder) if comm.get_rank() == 0 else None)[0]
    return found


def restore(engine: deepspeed.DeepSpeedEngine, checkpoint: Checkpoint) -> dict[str, Any]:
    """Collective: put weights, optimiser and schedule back and return the state given to `save`.

    The number of ranks, offloading, the precision, and stage 1 or 2 may have changed since; then the same training
    goes on, though not bit for bit. Raises CheckpointError, on all ranks, where that cannot be.
    """
    saved, wanted, path = checkpoint.form, form_of(engine), checkpoint.path
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
    failure = exchange(failure)[0]
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


def _check_convertible(saved: Form, wanted: Form, path: Path) -> None:
    """Raises CheckpointError for the changes that the universal checkpoint cannot make."""
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
    """Collective: the network's weights on the CPU, in the 32 bits in which they are trained; None except on rank 0.

    One weight at a time is gathered from the ranks. Buffers are as the network has them.
    """
    weights = {}
    for name, parameter in engine.module.named_parameters():
        whole = deepspeed.utils.safe_get_full_fp32_param(parameter)
        if comm.get_rank() == 0:
            shape = getattr(parameter, "ds_shape", parameter.shape)  # stage 3 cuts the parameter itself
            weights[name] = whole.detach().to("cpu", torch.float32, copy=True).view(shape)
    if comm.get_rank() != 0:
        return None
    state = engine.module.state_dict()
    return {name: weights[name] if name in weights else value.detach().cpu().clone() for name, value in state.items()}
