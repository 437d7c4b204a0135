"""Checkpoints that survive: written aside, listed with their digests, renamed when they are whole, checked when read.

    checkpoints/step00000300/   DeepSpeed's files: weights, and each rank's share of the optimiser's state
    checkpoints/step00000300/checkpoint.json   written last: step, form, the trainer's state, each file's digest
    checkpoints/.step00000400.saving/   being written, or left over from a run that was killed while it wrote

The folder must be one that all ranks see. Functions called collective are called by all ranks together; what goes
wrong on one is raised on all, so that none waits for another for ever.
"""

from modeling.training.checkpoints.files import Checkpoint, CheckpointError, Form, prune
from modeling.training.checkpoints.restoring import full_state_dict, newest_good, restore
from modeling.training.checkpoints.saving import save

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Form",
    "full_state_dict",
    "newest_good",
    "prune",
    "restore",
    "save",
]
