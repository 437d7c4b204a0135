"""The layout of a run's folder.

run.json                    configuration; written by the training flow, read by every rank
parent/                     the model that the run begins with, and the held-out pieces it knows; where there is one
metrics.jsonl               events of all attempts (`modeling.training.events`)
train.log                   standard output and error of the job's processes
checkpoints/step00000300/   DeepSpeed's state (`modeling.training.checkpoints`)
best/step00000300/          weights of the best evaluation so far
samples/step00000300/       pieces composed at an evaluation, with piano rolls
tensorboard/                scalars for TensorBoard, if `training.tensorboard`
model/                      the trained model: there once training has ended
critic/<key>/               a critic, by a digest of its settings
identities.parquet          what the model was trained on, once it is asked for (`tokenization.identities`)
hostfile, .deepspeed_env    what DeepSpeed's launcher reads for other hosts; there while a job runs on them
.lock                       held by the process that trains the run
.stop                       by which it asks the ranks to save a checkpoint and end; there while they run
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The paths of one training run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "run.json"

    @property
    def parent(self) -> Path:
        return self.path / "parent"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def samples_of(self, step: int) -> Path:
        """Return the folder of an evaluation's samples, which may not exist."""
        return self.samples / f"step{step:08d}"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def has_model(self) -> bool:
        """True if training has ended and left a model."""
        return self.model.is_dir()

    @property
    def critics(self) -> Path:
        return self.path / "critic"

    @property
    def identities(self) -> Path:
        return self.path / "identities.parquet"

    @property
    def hostfile(self) -> Path:
        return self.path / "hostfile"

    @property
    def remote_environment(self) -> Path:
        """Variables that DeepSpeed exports on every host of the hostfile."""
        return self.path / ".deepspeed_env"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def stop(self) -> Path:
        return self.path / ".stop"

    @property
    def run_id(self) -> str:
        return self.path.name

    def __str__(self) -> str:
        return str(self.path)


def run_folders(runs: Path) -> list[RunFolder]:
    """Return the folders of all runs below `runs`, the most recently started last."""
    folders = [RunFolder(path) for path in runs.iterdir()] if runs.is_dir() else []
    found = [folder for folder in folders if folder.config.exists()]
    return sorted(found, key=lambda folder: folder.config.stat().st_mtime)
