"""Saving a checkpoint, from all ranks at once, so that whatever fails leaves nothing half done and nobody waiting."""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path
from typing import IO, Any, cast

import deepspeed
import deepspeed.comm as comm
import torch
from deepspeed.runtime.checkpoint_engine.checkpoint_engine import CheckpointCommitInfo, CheckpointEngine

from modeling.training.checkpoints.files import (
    CheckpointError,
    Form,
    Manifest,
    Stamp,
    folder_of,
    publish,
    reason,
    remove_leftovers,
)


def save(engine: deepspeed.DeepSpeedEngine, folder: Path, step: int, state: dict[str, Any]) -> int:
    """Collective: write the checkpoint `folder/step00000123` and return its size in bytes.

    `state` is rank 0's, of values that JSON has. Raises CheckpointError, on all ranks; then nothing of this checkpoint
    is left, and the earlier ones are as they were.
    """
    target = folder_of(folder, step)
    staging = folder / f".{target.name}.saving"
    writer = Writer()
    if comm.get_rank() == 0:
        remove_leftovers(folder)
        writer.makedirs(str(staging))
    usual, engine.checkpoint_engine = engine.checkpoint_engine, writer
    engine._copy_recovery_script = lambda path: None  # copies programs into the checkpoint, and may raise
    try:
        engine.save_checkpoint(str(folder), tag=staging.name, save_latest=False)
    finally:
        engine.checkpoint_engine = usual
        del engine._copy_recovery_script
    stamps: dict[str, Stamp] = {}
    failure = None
    for own, failed in exchange((writer.stamps, writer.failure)):
        stamps |= own
        failure = failure or failed
    if failure is None and comm.get_rank() == 0:
        try:
            publish(Manifest(step=step, form=form_of(engine), state=state, files=stamps), staging, target)
        except OSError as error:
            failure = reason(error)
    failure = exchange(failure)[0]
    if failure is not None:
        free = shutil.disk_usage(folder).free if folder.exists() else 0
        comm.barrier()  # all have seen what is free
        if comm.get_rank() == 0:
            shutil.rmtree(staging, ignore_errors=True)
        raise CheckpointError(
            f"the checkpoint of step {step} cannot be written to {folder} ({failure}; {free / 1e9:.2f} GB are free): "
            "make room there and start the run again; it goes on from its last checkpoint"
        )
    return sum(stamp.size for stamp in stamps.values())


def form_of(engine: deepspeed.DeepSpeedEngine) -> Form:
    """The form in which this run keeps its state."""
    return Form(
        ranks=comm.get_world_size(),
        zero_stage=int(engine.zero_optimization_stage()),
        offload=bool(engine.zero_cpu_offload()),
        bf16=bool(engine.bfloat16_enabled()),
        optimiser=type(engine.basic_optimizer).__name__,
        wrapper=type(engine.optimizer).__name__,
    )


def exchange(value: Any) -> list[Any]:
    """Collective: every rank's value, in the ranks' order."""
    values = [value] * comm.get_world_size()
    if len(values) > 1:
        comm.all_gather_object(values, value)
    return values


class Writer(CheckpointEngine):  # type: ignore[misc]
    """How DeepSpeed writes its files: stamped on their way to the disk, and never raising.

    DeepSpeed's ranks wait for each other while they save; one that raised would leave the others waiting.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stamps: dict[str, Stamp] = {}
        """Files that this rank has written, by name."""
        self.failure: str | None = None
        """What went wrong first; nothing is written after it."""

    def create(self, info: CheckpointCommitInfo) -> None:
        """Nothing to prepare."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        try:
            Path(path).mkdir(parents=True, exist_ok=exist_ok)
        except OSError as error:
            self.failure = self.failure or reason(error)

    def save(self, state_dict: object, path: str) -> None:
        if self.failure is not None:
            return
        name = Path(path).name
        try:
            with Path(path).open("wb") as file:
                stamped = _Stamped(file)
                torch.save(state_dict, cast(IO[bytes], stamped))
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            self.failure = f"{name}: {reason(error)}"
        else:
            self.stamps[name] = Stamp(size=stamped.size, crc32=stamped.crc32)

    def load(self, path: str, map_location: Any = None) -> Any:
        raise NotImplementedError("DeepSpeed's own engine reads")

    def commit(self, info: CheckpointCommitInfo) -> bool:
        return True


class _Stamped:
    """A file that adds up what is written to it; torch's zip writer only ever appends."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self.crc32 = 0

    def write(self, data: bytes | memoryview) -> int:
        self.crc32 = zlib.crc32(data, self.crc32)
        self.size += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()
