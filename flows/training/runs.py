"""Training runs as folders: `runs/<run id>/` with `run.json`, checkpoints, metrics and the trained model.

A run's id is a digest of what decides its weights: the dataset version, the model and the training settings. How the
work is divided among processes, how often it is saved and when to stop are none of that. So the same command finds
its own earlier attempt, on other machines too: it resumes an unfinished one and reuses a finished one.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from flows.training.history import History, read_history
from infra.errors import UserError, unknown_name
from infra.files import write_atomically
from infra.lake import Lake
from modeling.config import Preset, RunConfig, RunFormatError, read_run_config
from tokenization.dataset.version import DatasetVersion, canonical_digest

RUN_FILE, METRICS_FILE, LOG_FILE, MODEL_FOLDER = "run.json", "metrics.jsonl", "train.log", "model"
HOSTFILE, LOCK_FILE = "hostfile", ".lock"
RUN_ID_LENGTH = 12
HOW_COMPUTED: dict[str, bool | set[str]] = {"recompute": True, "sparsity": {"backend"}}
"""Settings of the model that say how, not what, it computes; they are none of a run's id."""
HOW_TRAINED = {
    *("micro_batch_size", "zero_stage", "offload", "compile"),
    *("checkpoint_every", "checkpoint_minutes", "keep_checkpoints", "evaluate_every", "evaluation_windows"),
    *("max_minutes", "patience"),
}
"""The same of training: how the work is divided, how often it is saved and evaluated, and when to stop."""


@dataclass(frozen=True)
class Run:
    """One training run on disk."""

    run_id: str
    folder: Path
    config: RunConfig
    preset: str
    dataset: str
    """`name@digest`."""

    @property
    def finished(self) -> bool:
        """Whether the trained model is there."""
        return (self.folder / MODEL_FOLDER).is_dir()

    @property
    def metrics(self) -> Path:
        return self.folder / METRICS_FILE

    @property
    def log(self) -> Path:
        return self.folder / LOG_FILE

    def history(self) -> History:
        """What all attempts so far have reported."""
        return read_history(self.metrics)

    def is_complete(self) -> bool:
        """Whether nothing is left to do: a model is there, and if it was stopped before its last step, then by a
        limit that still holds."""
        if not self.finished:
            return False
        history, training = self.history(), self.config.training
        if history.step >= training.steps:
            return True
        over = training.max_minutes is not None and history.seconds > training.max_minutes * 60
        plateau = training.patience is not None and history.evaluations_since_best >= training.patience
        return over or plateau


def prepare_run(lake: Lake, dataset: DatasetVersion, preset: Preset, ranks: int) -> Run:
    """The run of a dataset version and preset, to be trained by so many ranks: a new folder or the one that exists.

    A folder that exists keeps its `run.json` until `write_run`: another process may be training it.
    """
    run_id = run_id_of(dataset.digest, preset)
    folder = lake.runs / run_id
    config = RunConfig(
        dataset=dataset.path,
        folder=folder,
        model=preset.model,
        training=preset.training,
        world_size=ranks,
        cache=lake.cache / "tokens",
    )
    run = Run(run_id, folder, config, preset.name, f"{dataset.name}@{dataset.digest}")
    if not (folder / RUN_FILE).exists():
        write_run(run)
    return run


def run_id_of(dataset_digest: str, preset: Preset) -> str:
    """The id of the run of a dataset version and a preset."""
    model = preset.model.model_dump(mode="json", exclude=HOW_COMPUTED)
    training = preset.training.model_dump(mode="json", exclude=HOW_TRAINED)
    return canonical_digest({"dataset": dataset_digest, "model": model, "training": training})[:RUN_ID_LENGTH]


def write_run(run: Run) -> None:
    """Write `run.json`, which the job reads."""
    content = {
        "run_id": run.run_id,
        "preset": run.preset,
        "dataset": run.dataset,
        "config": run.config.model_dump(mode="json"),
    }
    write_atomically(run.folder / RUN_FILE, (json.dumps(content, indent=1) + "\n").encode())


def read_run(folder: Path) -> Run:
    """The run in a folder. Raises UserError for one that another version of this program has made."""
    try:
        content = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        config = read_run_config({**content["config"], "folder": folder})
        return Run(content["run_id"], folder, config, content["preset"], content["dataset"])
    except RunFormatError as error:
        raise UserError(f"{folder / RUN_FILE}: {error}") from error
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder / RUN_FILE} does not fit this version of musenet; remove the folder") from error


def run_folders(lake: Lake) -> list[Path]:
    """The folders of all runs, the most recently started last."""
    files = sorted(lake.runs.glob(f"*/{RUN_FILE}"), key=lambda file: file.stat().st_mtime)
    return [file.parent for file in files]


def runs(lake: Lake) -> list[Run]:
    """All runs that can be read, the most recently started last."""
    found = []
    for folder in run_folders(lake):
        with contextlib.suppress(UserError):
            found.append(read_run(folder))
    return found


def find_run(lake: Lake, reference: str) -> Run:
    """The finished run of an id (a prefix is enough) or, for `latest`, the newest one. Raises UserError."""
    finished = [run for run in runs(lake) if run.finished]
    if reference == "latest" and finished:
        return finished[-1]
    chosen = [run for run in finished if reference != "latest" and run.run_id.startswith(reference)]
    if len(chosen) > 1:
        raise UserError(f"{reference!r} fits {len(chosen)} runs; give more digits")
    if not chosen:
        remedy = "train one with `musenet train --dataset NAME --preset tiny`"
        raise unknown_name("finished run", reference, [run.run_id for run in finished], remedy)
    return chosen[0]
