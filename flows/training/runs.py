"""Training runs in the lake: prepared, listed and found by id.

The id of a run is a digest of what determines its weights: the dataset version, the model and the training settings.
How the work is divided among processes, how often it is saved and when to stop are not part of it. The same command
therefore finds its own earlier attempt, on other machines too: an unfinished run is resumed, a finished one reused.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flows.training.history import History, read_history
from infra.digests import canonical_digest
from infra.errors import UserError, unknown_name
from infra.files import write_atomically
from infra.lake import Lake
from modeling.config import PLAIN, DrawingConfig, ParentModel, Preset, RunConfig, RunFormatError, read_run_config
from modeling.training.run_folder import RunFolder, run_folders
from tokenization.dataset import DatasetVersion

Match = TypeVar("Match")

TRAINING = "training"
"""Folder of the generations that a training keeps, in its run's archive."""
TOKENS = "tokens"
"""Folder of decoded tokens in the lake's cache."""
RUN_ID_LENGTH = 12
"""Hexadecimal digits."""
MODEL_SETTINGS_NOT_IN_ID: dict[str, bool | set[str]] = {"critic": True, "recompute": True, "sparsity": {"backend"}}
"""Settings of the model that change how it is computed, not what."""
TRAINING_SETTINGS_NOT_IN_ID = {
    *("micro_batch_size", "zero_stage", "offload", "compile"),
    *("checkpoint_every", "checkpoint_minutes", "keep_checkpoints", "evaluate_every", "evaluation_windows"),
    *("samples", "tensorboard"),
    *("max_minutes", "patience", "parent"),
}
"""Settings of training that divide the work, save, evaluate or show it, or end it; and the name of the parent, whose
weights are part of the id."""


@dataclass(frozen=True)
class Run:
    """One training run on disk."""

    run_id: str
    folder: RunFolder
    config: RunConfig
    preset: str
    dataset: str
    """`name@digest`."""
    drawing: DrawingConfig = PLAIN
    """The preset's."""

    @property
    def name(self) -> str:
        """The run's name in MLflow."""
        return f"{self.preset}-{self.run_id}"

    def parameters(self, dataset: DatasetVersion) -> dict[str, Any]:
        """Return the run's parameters in MLflow, nested; `dataset` is its dataset version."""
        parent = {} if self.config.parent is None else {"parent": self.config.parent.model_dump(exclude_none=True)}
        return {
            "dataset": self.dataset,
            "preset": self.preset,
            **parent,
            "ranks": self.config.world_size,
            "model": self.config.model.over(dataset.vocabulary).model_dump(),
            "training": self.config.training.model_dump(),
        }

    def history(self) -> History:
        """Read the events of all attempts so far."""
        return read_history(self.folder.metrics)

    def is_complete(self) -> bool:
        """True if nothing is left to train: the model is there, and if it was stopped before its last step, then by
        a limit that still holds."""
        if not self.folder.has_model:
            return False
        history, training = self.history(), self.config.training
        if history.step >= training.steps:
            return True
        over = training.max_minutes is not None and history.seconds > training.max_minutes * 60
        plateau = training.patience is not None and history.evaluations_since_best >= training.patience
        return over or plateau


def prepare_run(
    lake: Lake, dataset: DatasetVersion, preset: Preset, ranks: int, parent: ParentModel | None = None
) -> Run:
    """Return the run of a dataset version and a preset for `ranks` processes, in a new folder or the existing one.

    `parent`: the model that it begins with, whose files are put into the folder before it is trained. An existing
    folder keeps its `run.json` until `write_run`: another process may be training from it.
    """
    run_id = run_id_of(dataset.digest, preset, parent)
    folder = RunFolder(lake.runs / run_id)
    config = RunConfig(
        dataset=dataset.path,
        folder=folder.path,
        model=preset.model,
        training=preset.training,
        world_size=ranks,
        archive=lake.archive / run_id / TRAINING,
        cache=lake.cache / TOKENS,
        parent=parent,
    )
    run = Run(run_id, folder, config, preset.name, f"{dataset.name}@{dataset.digest}", preset.drawing)
    if not folder.config.exists():
        write_run(run)
    return run


def run_id_of(dataset_digest: str, preset: Preset, parent: ParentModel | None = None) -> str:
    """Return the id of the run of a dataset version, a preset and a parent."""
    model = preset.model.model_dump(mode="json", exclude=MODEL_SETTINGS_NOT_IN_ID)
    training = preset.training.model_dump(mode="json", exclude=TRAINING_SETTINGS_NOT_IN_ID)
    if training["critic"] is None:  # as before there were critics
        del training["critic"]
    content = {"dataset": dataset_digest, "model": model, "training": training}
    if parent is not None:
        content["parent"] = parent.weights
    return canonical_digest(content)[:RUN_ID_LENGTH]


def write_run(run: Run) -> None:
    """Write `run.json`, from which the job reads its configuration."""
    content = {
        "run_id": run.run_id,
        "preset": run.preset,
        "dataset": run.dataset,
        "drawing": run.drawing.model_dump(mode="json"),
        "config": run.config.model_dump(mode="json"),
    }
    write_atomically(run.folder.config, (json.dumps(content, indent=1) + "\n").encode())


def keep_drawing(run: Run) -> None:
    """Write a finished run's drawing to its `run.json`: of all settings it alone may change without training anew."""
    stored = read_run(run.folder)
    if stored.drawing != run.drawing:
        write_run(replace(stored, drawing=run.drawing))


def read_run(folder: RunFolder) -> Run:
    """Read the run in a folder. Raises UserError for one that another version of musenet has written."""
    try:
        content = json.loads(folder.config.read_text(encoding="utf-8"))
        lake = Lake(folder.path.parents[1])  # which may have been moved or copied since
        places = {
            "folder": folder.path,
            "archive": lake.archive / content["run_id"] / TRAINING,
            "cache": lake.cache / TOKENS,
        }
        config = read_run_config({**content["config"], **places})
        drawing = DrawingConfig.model_validate(content.get("drawing", {}))
        return Run(content["run_id"], folder, config, content["preset"], content["dataset"], drawing)
    except RunFormatError as error:
        raise UserError(f"{folder.config}: {error}") from error
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder.config} does not fit this version of musenet; remove the folder") from error


def list_runs(lake: Lake) -> list[Run]:
    """Return all runs that this version can read, the most recently started last."""
    found = []
    for folder in run_folders(lake.runs):
        with contextlib.suppress(UserError):
            found.append(read_run(folder))
    return found


def find_run(lake: Lake, reference: str) -> Run:
    """Return the finished run of an id (a prefix is enough) or, for `latest`, the newest one. Raises UserError."""
    finished = [run for run in list_runs(lake) if run.folder.has_model]
    if reference == "latest" and finished:
        return finished[-1]
    matching = [run for run in finished if reference != "latest" and run.run_id.startswith(reference)]
    if not matching:
        remedy = "train one with `musenet train --dataset NAME --preset tiny`"
        raise unknown_name("finished run", reference, [run.run_id for run in finished], remedy)
    return only_match(reference, matching)


def only_match(reference: str, matching: Sequence[Match]) -> Match:
    """Return what the beginning of an id refers to, of one thing or more. Raises UserError for more than one."""
    if len(matching) > 1:
        raise UserError(f"{reference!r} matches {len(matching)} runs; give more digits")
    return matching[0]
