"""DeepSpeed's universal checkpoint, made and read without its noise.

ZeRO's shares are cut for one number of ranks. In the universal form each weight and each of its moments is whole, in
a file of its own, and is cut anew as it is read. So it also serves where stage 1 has become 2, or the precision
another.
"""

from __future__ import annotations

import contextlib
import io
from argparse import Namespace
from pathlib import Path

import deepspeed
from deepspeed.checkpoint import ds_to_universal


def to_universal(checkpoint: Path, target: Path) -> None:
    """Write a checkpoint's universal form into the folder `target`. For one rank; takes as much room again.

    Raises OSError or torch's RuntimeError where it cannot be written.
    """
    options = Namespace(
        input_folder=str(checkpoint),
        output_folder=str(target),
        num_extract_workers=1,  # in this process
        num_merge_workers=1,
        keep_temp_folder=False,
        strict=True,
        inject_missing_state=True,
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ds_to_universal.main(options)
    (target.parent / "latest_universal").unlink(missing_ok=True)


def load_universal(engine: deepspeed.DeepSpeedEngine, universal: Path) -> None:
    """Collective: put weights, optimiser and schedule back from a universal form that all ranks see."""
    groups = engine.optimizer.param_groups
    settings = [{key: value for key, value in group.items() if key not in ("params", "step")} for group in groups]
    # The switch behind `checkpoint.load_universal` of the configuration, which is read before a checkpoint is found.
    engine._config.load_universal_checkpoint = True
    try:
        engine.load_checkpoint(str(universal.parent), tag=universal.name)
    finally:
        engine._config.load_universal_checkpoint = False
    # Stage 3 gives every group the settings of the first, its decay among them, and all states one counter of steps,
    # which each of them would then advance.
    for state in engine.basic_optimizer.state.values():
        if "step" in state:
            state["step"] = state["step"].clone()
    for group, own, rate in zip(engine.optimizer.param_groups, settings, engine.lr_scheduler.get_last_lr()):
        group.update(own, lr=rate)
