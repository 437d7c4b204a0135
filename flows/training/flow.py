"""The training flow: a dataset version and a preset → a trained model, tracked in MLflow."""

from __future__ import annotations

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.versions import DatasetVersion, find_version
from flows.parameters import LakeAddress
from flows.progress import say, stage
from flows.settings import Lake
from flows.training.launcher import launch
from flows.training.reporting import RunReport, Tracker, report_of
from flows.training.runs import Run, prepare_run
from modeling.config import load_preset, with_settings


class TrainParameters(BaseModel):
    """What to train, and on which dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    """`NAME` for its newest version, or `NAME@DIGEST`."""
    preset: str = "tiny"
    settings: dict[str, Any] = {}
    """Changes to the preset by dotted key: `{"training.steps": 400}`."""
    ranks: int = Field(1, ge=1)
    """Processes of data-parallel training; one per GPU where there are GPUs."""
    lake: LakeAddress


@task(persist_result=False, cache_policy=NO_CACHE)
def deepspeed_job(lake: Lake, run: Run, dataset: DatasetVersion) -> None:
    """Run the DeepSpeed job to its end and track it in MLflow."""
    steps = run.config.training.steps
    with stage(f"training {run.preset} on {dataset}", steps) as bar, Tracker(lake, run, dataset) as tracker:
        bar.update(0, note="starting DeepSpeed")

        def on_report(report: dict[str, Any]) -> None:
            tracker.take(report)
            if report["event"] == "step":
                note = f"loss {report['loss']:.3f}  {report['tokens_per_second']:,.0f} tokens/s"
                bar.update(report["step"], note=note)

        launch(lake, run, on_report)


@flow(name="train", persist_result=False)
def train(parameters: TrainParameters) -> RunReport:
    """Train a model; an unfinished earlier attempt is resumed, a finished one reused. Raises UserError."""
    lake = Lake.at(parameters.lake)
    dataset = find_version(lake, parameters.dataset).local(lake)
    preset = with_settings(load_preset(parameters.preset), parameters.settings)
    run = prepare_run(lake, dataset, preset, parameters.ranks)
    reused = run.finished
    if reused:
        say(f"[green]✓[/] training: nothing changed, run {run.run_id} is reused")
    else:
        deepspeed_job(lake, run, dataset)
    report = report_of(run, reused)
    create_markdown_artifact(key="training", markdown=report.markdown(), description=f"run {run.run_id}")
    return report
