"""Crash-safe checkpoints: written aside, listed with checksums, renamed when complete, verified when read.

    checkpoints/step00000300/   DeepSpeed's files: weights, and each rank's partition of the optimiser state
    checkpoints/step00000300/checkpoint.json   written last: step, partitioning, state, checksums
    checkpoints/.step00000400.saving/   being written, or left by a run that was killed while writing

The folder must be shared by all ranks. Collective functions are called by all ranks together; an error on one is raised
on all, so that none waits for another without end.
"""

from modeling.training.checkpoints.files import Checkpoint, CheckpointError, Partitioning, prune
from modeling.training.checkpoints.restoring import find_newest, full_state_dict, restore
from modeling.training.checkpoints.saving import save

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Partitioning",
    "find_newest",
    "full_state_dict",
    "prune",
    "restore",
    "save",
]
