"""What a training run reports: metrics to MLflow while it goes on, a summary when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any

from flows.ingestion.versions import DatasetVersion
from flows.settings import Lake
from flows.training.runs import Run
from registry.lineage import DatasetReference, log_dataset
from registry.tracking import Registry, begin_run, end_run, find_run, log_metrics, reopen_run

STEPS_PER_WRITE = 20
"""Training steps whose metrics go to MLflow together."""
STEP_METRICS = ("loss", "learning_rate", "gradient_norm", "tokens_per_second")


def dataset_reference(dataset: DatasetVersion) -> DatasetReference:
    """A dataset version as the registry names it."""
    profile = {key: dataset.description[key] for key in ("pieces", "tokens", "notes", "hours", "styles")}
    return DatasetReference(dataset.name, dataset.digest, str(dataset.folder), profile)


def mlflow_run(lake: Lake, run: Run, dataset: DatasetVersion) -> tuple[Registry, str]:
    """The registry and MLflow's id of a training run, opened anew or found."""
    registry = Registry.open(lake.registry_database, lake.registry_artifacts)
    run_id = find_run(registry, run.run_id)
    if run_id is None:
        parameters = {
            "dataset": run.dataset,
            "preset": run.preset,
            "ranks": run.config.ranks,
            "model": run.config.model.model_dump(),
            "training": run.config.training.model_dump(),
        }
        run_id = begin_run(registry, run.run_id, f"{run.preset}-{run.run_id}", parameters)
        log_dataset(registry, run_id, dataset_reference(dataset), "training")
    return registry, run_id


class Tracker:
    """Forwards a job's reports to MLflow, and closes the MLflow run when the block ends."""

    def __init__(self, lake: Lake, run: Run, dataset: DatasetVersion) -> None:
        self.registry, self.run_id = mlflow_run(lake, run, dataset)
        reopen_run(self.registry, self.run_id)
        self.waiting: list[tuple[int, dict[str, float]]] = []

    def take(self, report: dict[str, Any]) -> None:
        """Take in one report of the job."""
        if report["event"] == "step":
            values = {name: report[name] for name in STEP_METRICS if report[name] is not None}
            self.waiting.append((report["step"], values))
        elif report["event"] == "evaluation":
            values = {f"validation_{name}": report[name] for name in ("nats_per_token", "nats_per_note")}
            values |= {f"validation_nats_per_token/{style}": loss for style, loss in report["by_style"].items()}
            self.waiting.append((report["step"], values))
        if len(self.waiting) >= STEPS_PER_WRITE:
            self._write()

    def _write(self) -> None:
        log_metrics(self.registry, self.run_id, self.waiting)
        self.waiting = []

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write()
        end_run(self.registry, self.run_id, succeeded=kind is None)


@dataclass(frozen=True)
class RunReport:
    """A finished training run in numbers."""

    run_id: str
    folder: str
    dataset: str
    preset: str
    parameters: int
    steps: int
    seconds: float
    precision: str
    nats_per_token: float | None
    """Held-out loss on the validation split."""
    nats_per_note: float | None
    stopped_early: bool
    """Whether the time limit came before the last step."""
    reused: bool
    """Whether the run had been finished before."""

    def markdown(self) -> str:
        """The report as a page for Prefect."""
        held_out = "no validation piece" if self.nats_per_token is None else f"{self.nats_per_token:.3f} nats/token"
        return (
            f"# Run {self.run_id}\n\nPreset `{self.preset}` ({self.parameters / 1e6:.1f} M parameters) on "
            f"`{self.dataset}`: {self.steps} steps in {self.seconds / 60:.1f} min ({self.precision}).\n\n"
            f"Held out: {held_out}.\n"
        )


def report_of(run: Run, reused: bool) -> RunReport:
    """The report of a finished run."""
    start, finished = run.last("start"), run.last("finished")
    assert start is not None and finished is not None
    return RunReport(
        run_id=run.run_id,
        folder=str(run.folder),
        dataset=run.dataset,
        preset=run.preset,
        parameters=start["parameters"],
        steps=finished["step"],
        seconds=finished["seconds"],
        precision=start["precision"],
        nats_per_token=finished["nats_per_token"],
        nats_per_note=finished["nats_per_note"],
        stopped_early=finished["step"] < run.config.training.steps,
        reused=reused,
    )
