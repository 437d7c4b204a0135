"""Training runs as folders: `runs/<run id>/` with `run.json`, checkpoints, metrics and the trained model.

A run's id is a digest of what determines its weights: the dataset version, the model and the training settings.
So the same command finds its own earlier attempt, resumes an unfinished one and reuses a finished one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from flows.errors import UserError, unknown
from flows.files import write_atomically
from flows.ingestion.versions import DatasetVersion, canonical_digest
from flows.settings import Lake
from modeling.config import Preset, RunConfig

RUN_FILE, METRICS_FILE, LOG_FILE, MODEL_FOLDER = "run.json", "metrics.jsonl", "train.log", "model"
RUN_ID_LENGTH = 12


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

    def last(self, event: str) -> dict[str, Any] | None:
        """The newest report of a kind: `finished`, `evaluation`, `error`, …"""
        found = None
        for report in read_reports(self.metrics):
            if report["event"] == event:
                found = report
        return found


def read_reports(metrics: Path) -> Iterator[dict[str, Any]]:
    """The reports of a run so far; torn lines are left out."""
    if not metrics.exists():
        return
    for line in metrics.read_text(encoding="utf-8").splitlines():
        if (report := parse_report(line)) is not None:
            yield report


def parse_report(line: str) -> dict[str, Any] | None:
    """The report in a line; None for a line that a killed process left torn."""
    try:
        report: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return report


def prepare_run(lake: Lake, dataset: DatasetVersion, preset: Preset, ranks: int) -> Run:
    """The run of a dataset version, preset and number of ranks: a new folder or the one that exists."""
    run_id = canonical_digest(
        {
            "dataset": dataset.digest,
            "model": preset.model.model_dump(),
            "training": preset.training.model_dump(exclude={"keep_checkpoints", "checkpoint_every"}),
            "ranks": ranks,
        }
    )[:RUN_ID_LENGTH]
    folder = lake.runs / run_id
    stage = f"zero{preset.training.zero_stage}"
    settings = (resources.files("infra") / "deepspeed" / f"{stage}.json").read_text(encoding="utf-8")
    config = RunConfig(
        dataset=dataset.path,
        folder=folder,
        model=preset.model,
        training=preset.training,
        ranks=ranks,
        deepspeed=json.loads(settings),
    )
    run = Run(run_id, folder, config, preset.name, f"{dataset.name}@{dataset.digest}")
    content = {"run_id": run_id, "preset": run.preset, "dataset": run.dataset, "config": config.model_dump(mode="json")}
    write_atomically(folder / RUN_FILE, (json.dumps(content, indent=1) + "\n").encode())
    return run


def read_run(folder: Path) -> Run:
    """The run in a folder."""
    content = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    config = RunConfig.model_validate({**content["config"], "folder": folder})
    return Run(content["run_id"], folder, config, content["preset"], content["dataset"])


def runs(lake: Lake) -> list[Run]:
    """All runs, the most recently prepared last."""
    files = sorted(lake.runs.glob(f"*/{RUN_FILE}"), key=lambda file: file.stat().st_mtime)
    return [read_run(file.parent) for file in files]


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
        raise unknown("finished run", reference, [run.run_id for run in finished], remedy)
    return chosen[0]
