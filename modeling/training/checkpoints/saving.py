"""Saving a checkpoint from all ranks together: a failure on one leaves no partial checkpoint and no rank waiting."""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path
from typing import IO, Any, cast

import torch

from modeling.training.checkpoints.files import (
    CheckpointError,
    FileChecksum,
    Manifest,
    Partitioning,
    folder_of,
    publish,
    reason,
    remove_leftovers,
)
from modeling.training.deepspeed_package import CheckpointCommitInfo, CheckpointEngine, comm, deepspeed


def save(engine: deepspeed.DeepSpeedEngine, folder: Path, step: int, state: dict[str, Any]) -> int:
    """Collective: write the checkpoint `folder/step00000123`; return its size in bytes.

    `state` is rank 0's, of JSON values. Raises CheckpointError, on all ranks; nothing of this checkpoint is left then,
    and earlier ones are unchanged.
    """
    target = folder_of(folder, step)
    staging = folder / f".{target.name}.saving"
    writer = ChecksumWriter()
    if comm.get_rank() == 0:
        remove_leftovers(folder)
        writer.makedirs(str(staging))
    original, engine.checkpoint_engine = engine.checkpoint_engine, writer
    engine._copy_recovery_script = lambda path: None  # it would copy programs into the checkpoint, and may raise
    try:
        engine.save_checkpoint(str(folder), tag=staging.name, save_latest=False)
    finally:
        engine.checkpoint_engine = original
        del engine._copy_recovery_script
    checksums: dict[str, FileChecksum] = {}
    failure = None
    for own, failed in gather_from_ranks((writer.checksums, writer.failure)):
        checksums |= own
        failure = failure or failed
    if failure is None and comm.get_rank() == 0:
        try:
            publish(
                Manifest(step=step, partitioning=partitioning_of(engine), state=state, files=checksums), staging, target
            )
        except OSError as error:
            failure = reason(error)
    failure = gather_from_ranks(failure)[0]
    if failure is not None:
        free = shutil.disk_usage(folder).free if folder.exists() else 0
        comm.barrier()  # all ranks have read the free space
        if comm.get_rank() == 0:
            shutil.rmtree(staging, ignore_errors=True)
        raise CheckpointError(
            f"the checkpoint of step {step} cannot be written to {folder} ({failure}; {free / 1e9:.2f} GB are free): "
            "make room there and start the run again; it resumes from its last checkpoint"
        )
    return sum(checksum.size for checksum in checksums.values())


def partitioning_of(engine: deepspeed.DeepSpeedEngine) -> Partitioning:
    """Return the partitioning of an engine's state."""
    return Partitioning(
        ranks=comm.get_world_size(),
        zero_stage=int(engine.zero_optimization_stage()),
        offload=bool(engine.zero_cpu_offload()),
        bf16=bool(engine.bfloat16_enabled()),
        optimiser=type(engine.basic_optimizer).__name__,
        wrapper=type(engine.optimizer).__name__,
    )


def gather_from_ranks(value: Any) -> list[Any]:
    """Collective: return every rank's value, in the order of ranks."""
    values = [value] * comm.get_world_size()
    if len(values) > 1:
        comm.all_gather_object(values, value)
    return values


class ChecksumWriter(CheckpointEngine):  # type: ignore[misc]
    """Writes DeepSpeed's files, adds up their checksums on the way, and never raises.

    DeepSpeed's ranks wait for each other while they save; one that raised would leave the others waiting.
    """

    def __init__(self) -> None:
        super().__init__()
        self.checksums: dict[str, FileChecksum] = {}
        """Of the files that this rank has written, by name."""
        self.failure: str | None = None
        """The first error; nothing is written after it."""

    def create(self, info: CheckpointCommitInfo) -> None:
        """Do nothing: there is nothing to prepare."""

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
                summed = _Summed(file)
                torch.save(state_dict, cast(IO[bytes], summed))
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            self.failure = f"{name}: {reason(error)}"
        else:
            self.checksums[name] = FileChecksum(size=summed.size, crc32=summed.crc32)

    def load(self, path: str, map_location: Any = None) -> Any:
        raise NotImplementedError("DeepSpeed's own checkpoint engine reads")

    def commit(self, info: CheckpointCommitInfo) -> bool:
        return True


class _Summed:
    """A file that sums what is written to it; torch's zip writer only appends."""

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
