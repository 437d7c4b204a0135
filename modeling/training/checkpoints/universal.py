"""DeepSpeed's universal checkpoint: written here, read by DeepSpeed.

ZeRO's shares are cut for one number of ranks. In the universal form each weight and what the optimiser keeps of it
are whole, each in a file of its own, and are cut anew as they are read. So it also serves where stage 1 has become 2,
or the precision another. DeepSpeed's own converter knows no optimiser but AdamW, and takes twice the room.

    zero/blocks.0.bias/{fp32,exp_avg,exp_avg_sq,step}.pt   a weight in 32 bits, and AdamW's moments
    zero/blocks.0.weight/{fp32,momentum_buffer}.pt         one of Muon's, and its momentum
    zero/optimizer_state.pt                                what else DeepSpeed's optimiser asks for
    mp_rank_00_model_states.pt                             the checkpoint's without weights: steps and schedule
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deepspeed
import torch
from torch import Tensor

from modeling.training.checkpoints.files import Checkpoint, Form

MOMENTUM = "momentum_buffer"
"""What Muon keeps of a matrix, as DeepSpeed calls it."""
Group = dict[str, dict[str, Tensor]]
"""Weights that are updated together: by name, what there is of each (`fp32`, `exp_avg`, `step`, …)."""


@torch.no_grad()
def to_universal(checkpoint: Checkpoint, target: Path) -> None:
    """Write a checkpoint's universal form into the folder `target`. For one rank; takes at most as much room again.

    Raises OSError or torch's RuntimeError where it cannot be written.
    """
    form = checkpoint.form
    path = min(checkpoint.path.glob("*_model_states.pt"))  # the first rank's, where each has one
    model = _read(path)
    shapes = model["param_shapes"]
    shares = [_shares(checkpoint, rank, shapes) for rank in range(form.ranks)]
    step = None
    for group in zip(*shares):
        for name, whole in _joined(group, form):
            step = whole.get("step", step)
            folder = target / "zero" / name
            folder.mkdir(parents=True)
            for kind, tensor in whole.items():
                _write(tensor if kind == "step" else {"param": tensor}, folder / f"{kind}.pt")
    others = {
        "ds_version": deepspeed.__version__,
        "param_groups": [{} for _ in shapes],  # the run has settings of its own
        "optimizer_state_dict": {"state": {0: {"step": step}}, "param_groups": [{}]},  # where stage 3 looks
    }
    _write(others, target / "zero" / "optimizer_state.pt")
    _write({**model, "module": {}}, target / path.name)


def load_universal(engine: deepspeed.DeepSpeedEngine, universal: Path, form: Form) -> None:
    """Collective: put weights, optimiser and schedule back from a universal form that all ranks see.

    `form` is that of the engine.
    """
    # The switch behind `checkpoint.load_universal` of the configuration, which is read before a checkpoint is found.
    engine._config.load_universal_checkpoint = True
    try:
        engine.load_checkpoint(str(universal.parent), tag=universal.name)
    finally:
        engine._config.load_universal_checkpoint = False
    groups, states = engine.optimizer.param_groups, engine.basic_optimizer.state
    fused = any(group.get("fused") for group in groups)
    for flat, state in states.items():
        if MOMENTUM in state and "exp_avg" in state:  # stage 3, which takes all weights for AdamW's: see `_joined`
            state[MOMENTUM] = state.pop("exp_avg")
            del state["exp_avg_sq"], state["step"]
        elif "step" in state:
            # Stage 3 gives all states one counter, which each of them would then advance. The fused AdamW counts
            # where the weights are, the other one on the CPU.
            state["step"] = state["step"].to(flat.device if fused else "cpu", copy=True)
    for group, rate in zip(groups, engine.lr_scheduler.get_last_lr()):
        group["lr"] = rate
    if not _keeps_whole_momenta(form):
        return
    for group, matrices in zip(groups, engine.optimizer.params_in_partition):
        (flat,) = group["params"]
        if MOMENTUM in states[flat]:
            files = [universal / "zero" / engine.optimizer.param_names[p] / f"{MOMENTUM}.pt" for p in matrices]
            states[flat][MOMENTUM] = torch.cat([torch.load(file)["param"] for file in files]).to(flat.device)


def _keeps_whole_momenta(form: Form) -> bool:
    """Whether a rank keeps whole momenta, one behind the other, of all matrices of which it has any part.

    Two ranks then keep that of a matrix at their boundary. Elsewhere momenta are cut as the weights are.
    """
    return form.wrapper == "DeepSpeedZeroOptimizer" and not form.offload


def _read(path: Path) -> Any:
    """A file of a checkpoint. Its tensors are mapped: only what is used of them is read."""
    return torch.load(path, map_location="cpu", mmap=True, weights_only=False)


def _write(content: object, path: Path) -> None:
    with path.open("wb") as file:  # by its name, torch would not tell what went wrong
        torch.save(content, file)


def _shares(checkpoint: Checkpoint, rank: int, shapes: list[dict[str, torch.Size]]) -> Iterator[Group]:
    """What one rank has of each group of weights: flat pieces, whole momenta, steps. `shapes`: of the whole weights."""
    form = checkpoint.form
    (path,) = checkpoint.path.glob(f"*zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    shard = _read(path)["optimizer_state_dict"]
    third = form.zero_stage == 3
    states = shard["optimizer_state_dict" if third else "base_optimizer_state"]["state"]
    weights = shard["fp32_flat_groups" if third else "single_partition_of_fp32_groups"]
    for index, flat in enumerate(weights):
        sizes = {name: shape.numel() for name, shape in shapes[index].items()}
        if third:
            places = _places_in_third(sizes, rank, form.ranks)
        else:
            places = {name: (at.start, at.numel) for name, at in shard["param_slice_mappings"][index].items()}
        kept = {"fp32": flat, **states.get(index, {})}
        once = {"step": kept.pop("step")} if "step" in kept else {}
        momenta = kept.pop(MOMENTUM, None) if _keeps_whole_momenta(form) else None
        group: Group = {}
        start = 0
        for name, place in places.items():
            group[name] = {kind: tensor.narrow(0, *place) for kind, tensor in kept.items()} | once
            if momenta is not None:
                group[name][MOMENTUM] = momenta.narrow(0, start, sizes[name])
                start += sizes[name]
        yield group


def _places_in_third(sizes: dict[str, int], rank: int, ranks: int) -> dict[str, tuple[int, int]]:
    """Where stage 3 has a rank's pieces, and their lengths: a weight is cut into equal parts, padded at its end."""
    places = {}
    start = 0
    for name, size in sizes.items():
        part = math.ceil(size / ranks)
        places[name] = start, min(max(size - rank * part, 0), part)
        start += part
    return places


def _joined(shares: tuple[Group, ...], form: Form) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The weights of a group of which each rank has a share, and what is kept of them: flat, whole, in 32 bits.

    Stage 3 reads nothing but AdamW's moments, of any weight: there Muon's momentum has the first one's name.
    """
    uncut = {"step", MOMENTUM} if _keeps_whole_momenta(form) else {"step"}
    for name in {name: None for share in shares for name in share}:
        pieces = [share[name] for share in shares if name in share]
        whole = {
            kind: (piece.clone() if kind in uncut else torch.cat([others[kind] for others in pieces])).float()
            for kind, piece in pieces[0].items()
        }
        if form.zero_stage == 3 and MOMENTUM in whole:
            whole["exp_avg"] = whole.pop(MOMENTUM)
            whole["exp_avg_sq"] = torch.zeros(1).expand_as(whole["exp_avg"])
        yield name, whole
