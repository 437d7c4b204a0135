"""The weights of a run's best evaluation, which become its model.

They are kept by step, so that a run that resumes from an earlier checkpoint still has the weights that were the best
at that time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from infra.files import replace_folder, staging_folder
from modeling.config import ModelConfig
from modeling.network.weights import save_weights
from modeling.training.evaluation import EvalMetrics

METRICS_FILE = "held_out.json"


class BestWeights:
    """A folder of models by step, each with the metrics of its evaluation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of_step(self, step: int) -> Path:
        """Return the folder of a step's weights, which may not exist yet."""
        return self.folder / f"step{step:08d}"

    def save(self, step: int, config: ModelConfig, weights: Mapping[str, Tensor], metrics: EvalMetrics | None) -> None:
        """Write the weights of a step, in place of earlier ones. `metrics`: None without validation pieces."""
        with staging_folder(self.folder) as staged:
            save_weights(config, weights, staged)
            if metrics is not None:
                write_metrics(metrics, step, staged)
            replace_folder(staged, self.of_step(step))

    def metrics(self, step: int) -> EvalMetrics:
        """Return the metrics of a step's evaluation."""
        return read_metrics(self.of_step(step))[1]

    def prune(self, steps: set[int]) -> None:
        """Remove all weights but those of the given steps, and what killed processes have left."""
        keep = {self.of_step(step) for step in steps}
        for path in self.folder.glob("*"):
            if path not in keep:
                shutil.rmtree(path)

    def publish(self, step: int, target: Path) -> None:
        """Move the weights of a step to `target`, in place of a folder there, and remove all others."""
        replace_folder(self.of_step(step), target)
        shutil.rmtree(self.folder)


def write_metrics(metrics: EvalMetrics, step: int, folder: Path) -> None:
    """Write the metrics of an evaluation beside the weights that were evaluated."""
    text = json.dumps({"step": step, **asdict(metrics)}, indent=1) + "\n"
    (folder / METRICS_FILE).write_text(text, encoding="utf-8")


def read_metrics(folder: Path) -> tuple[int, EvalMetrics]:
    """Return the step and the metrics that `write_metrics` wrote."""
    content = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    return content.pop("step"), EvalMetrics(**content)
