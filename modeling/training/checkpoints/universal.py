"""DeepSpeed's universal checkpoint: written here, read by DeepSpeed.

ZeRO partitions state for one world size. In the universal form each weight and its optimiser state are whole, each in a
file of its own, and are partitioned again as they are read. It therefore also serves a change between stages 1 and 2,
or of precision. DeepSpeed's own converter supports only AdamW, and takes twice the disk space.

    zero/blocks.0.bias/{fp32,exp_avg,exp_avg_sq,step}.pt   a weight in 32 bits, and AdamW's moments
    zero/blocks.0.weight/{fp32,momentum_buffer}.pt         one of Muon's, and its momentum
    zero/optimizer_state.pt                                the other entries that DeepSpeed's optimiser reads
    mp_rank_00_model_states.pt                             the checkpoint's own, without weights: steps and schedule
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeling.training.checkpoints.files import Checkpoint, Partitioning
from modeling.training.deepspeed_package import deepspeed

MOMENTUM = "momentum_buffer"
"""DeepSpeed's name of Muon's state of a matrix."""
Group = dict[str, dict[str, Tensor]]
"""Weights that are updated together: by name, the tensors of each (`fp32`, `exp_avg`, `step`, …)."""


@torch.no_grad()
def to_universal(checkpoint: Checkpoint, target: Path) -> None:
    """Write a checkpoint's universal form into the folder `target`. For one rank; takes at most its size again.

    Raises OSError or torch's RuntimeError where it cannot be written.
    """
    partitioning = checkpoint.partitioning
    path = min(checkpoint.path.glob("*_model_states.pt"))  # the first rank's, if each has one
    model = _read(path)
    shapes = model["param_shapes"]
    shares = [_shares(checkpoint, rank, shapes) for rank in range(partitioning.ranks)]
    step = None
    for group in zip(*shares):
        for name, whole in _joined(group, partitioning):
            step = whole.get("step", step)
            folder = target / "zero" / name
            folder.mkdir(parents=True)
            for kind, tensor in whole.items():
                _write(tensor if kind == "step" else {"param": tensor}, folder / f"{kind}.pt")
    others = {
        "ds_version": deepspeed.__version__,
        "param_groups": [{} for _ in shapes],  # the run has its own settings
        "optimizer_state_dict": {"state": {0: {"step": step}}, "param_groups": [{}]},  # read by stage 3
    }
    _write(others, target / "zero" / "optimizer_state.pt")
    _write({**model, "module": {}}, target / path.name)


def load_universal(engine: deepspeed.DeepSpeedEngine, universal: Path, partitioning: Partitioning) -> None:
    """Collective: restore weights, optimiser and schedule from a universal form in a folder shared by all ranks.

    `partitioning` is the engine's.
    """
    # The switch behind the configuration's `checkpoint.load_universal`, which is read before a checkpoint is chosen.
    engine._config.load_universal_checkpoint = True
    try:
        engine.load_checkpoint(str(universal.parent), tag=universal.name)
    finally:
        engine._config.load_universal_checkpoint = False
    groups, states = engine.optimizer.param_groups, engine.basic_optimizer.state
    fused = any(group.get("fused") for group in groups)
    for flat, state in states.items():
        if MOMENTUM in state and "exp_avg" in state:  # stage 3, which treats all weights as AdamW's: see `_joined`
            state[MOMENTUM] = state.pop("exp_avg")
            del state["exp_avg_sq"], state["step"]
        elif "step" in state:
            # Stage 3 gives all states one counter, which each of them would then advance. The fused AdamW counts
            # on the weights' device, the other one on the CPU.
            state["step"] = state["step"].to(flat.device if fused else "cpu", copy=True)
    for group, rate in zip(groups, engine.lr_scheduler.get_last_lr()):
        group["lr"] = rate
    if not _keeps_whole_momenta(partitioning):
        return
    for group, matrices in zip(groups, engine.optimizer.params_in_partition):
        (flat,) = group["params"]
        if MOMENTUM in states[flat]:
            files = [universal / "zero" / engine.optimizer.param_names[p] / f"{MOMENTUM}.pt" for p in matrices]
            states[flat][MOMENTUM] = torch.cat([torch.load(file)["param"] for file in files]).to(flat.device)


def _keeps_whole_momenta(partitioning: Partitioning) -> bool:
    """True if a rank keeps the whole momenta, one behind the other, of all matrices of which it has any part.

    Two ranks then keep the momentum of a matrix at their boundary. Otherwise momenta are partitioned like weights.
    """
    return partitioning.wrapper == "DeepSpeedZeroOptimizer" and not partitioning.offload


def _read(path: Path) -> Any:
    """Load a file of a checkpoint. Its tensors are memory-mapped: only the parts in use are read."""
    return torch.load(path, map_location="cpu", mmap=True, weights_only=False)


def _write(content: object, path: Path) -> None:
    with path.open("wb") as file:  # given its name, torch would hide the system's error
        torch.save(content, file)


def _shares(checkpoint: Checkpoint, rank: int, shapes: list[dict[str, torch.Size]]) -> Iterator[Group]:
    """Yield one rank's share of each group of weights: flat pieces, whole momenta, steps. `shapes`: of the weights."""
    partitioning = checkpoint.partitioning
    (path,) = checkpoint.path.glob(f"*zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    shard = _read(path)["optimizer_state_dict"]
    third = partitioning.zero_stage == 3
    states = shard["optimizer_state_dict" if third else "base_optimizer_state"]["state"]
    weights = shard["fp32_flat_groups" if third else "single_partition_of_fp32_groups"]
    for index, flat in enumerate(weights):
        sizes = {name: shape.numel() for name, shape in shapes[index].items()}
        if third:
            places = _places_in_third(sizes, rank, partitioning.ranks)
        else:
            places = {name: (at.start, at.numel) for name, at in shard["param_slice_mappings"][index].items()}
        kept = {"fp32": flat, **states.get(index, {})}
        once = {"step": kept.pop("step")} if "step" in kept else {}
        momenta = kept.pop(MOMENTUM, None) if _keeps_whole_momenta(partitioning) else None
        group: Group = {}
        start = 0
        for name, place in places.items():
            group[name] = {kind: tensor.narrow(0, *place) for kind, tensor in kept.items()} | once
            if momenta is not None:
                group[name][MOMENTUM] = momenta.narrow(0, start, sizes[name])
                start += sizes[name]
        yield group


def _places_in_third(sizes: dict[str, int], rank: int, ranks: int) -> dict[str, tuple[int, int]]:
    """Return the starts and lengths of a rank's pieces in stage 3: weights are cut into equal parts, padded at the
    end."""
    places = {}
    start = 0
    for name, size in sizes.items():
        part = math.ceil(size / ranks)
        places[name] = start, min(max(size - rank * part, 0), part)
        start += part
    return places


def _joined(shares: tuple[Group, ...], partitioning: Partitioning) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the weights of a group and their optimiser state from the ranks' shares: flat, whole, in 32 bits.

    Stage 3 reads only AdamW's moments, of any weight: Muon's momentum is stored there under the first one's name.
    """
    uncut = {"step", MOMENTUM} if _keeps_whole_momenta(partitioning) else {"step"}
    for name in {name: None for share in shares for name in share}:
        pieces = [share[name] for share in shares if name in share]
        whole = {
            kind: (piece.clone() if kind in uncut else torch.cat([others[kind] for others in pieces])).float()
            for kind, piece in pieces[0].items()
        }
        if partitioning.zero_stage == 3 and MOMENTUM in whole:
            whole["exp_avg"] = whole.pop(MOMENTUM)
            whole["exp_avg_sq"] = torch.zeros(1).expand_as(whole["exp_avg"])
        yield name, whole
