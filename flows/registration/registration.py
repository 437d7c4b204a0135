"""Registration: a run's model and critic become one model version, with the lineage back to the data."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flows.criticism.report import CriticReport, read_report
from flows.parameters import LakeAddress
from flows.training.report import RunReport, build_report
from flows.training.runs import Run, find_run
from infra.errors import MusenetError
from infra.files import staging_folder
from infra.lake import Lake
from infra.settings import apply
from infra.wording import counted
from modeling.config import DRAWING_FILE, DrawingConfig
from registry.identity import LINEAGE_FILE
from registry.lineage import DatasetReference
from registry.models import CANDIDATE, RegisteredModel, find_model, register, set_alias
from registry.pyfunc_model import BUNDLE
from registry.runs import MetricRow, log_metrics, open_run
from registry.store import Registry
from tokenization.dataset import DatasetVersion, find_version, write_encoding
from tokenization.dataset.pace import Pace
from tokenization.dataset.shard_index import ORIGINALITY
from tokenization.originality import OriginalityIndex


class RegisterParameters(BaseModel):
    """The run to register, and the alias of its version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str = "latest"
    """Id of a finished training run (a prefix is enough), or `latest`."""
    alias: str = Field(CANDIDATE, pattern=r"^[a-z][a-z0-9_-]*$")
    drawing: dict[str, Any] = {}
    """Changes to how the model is drawn from where a request says nothing: `{"top_p": 0.99}`."""
    lake: LakeAddress


@dataclass(frozen=True)
class RegisterReport:
    """A registered version."""

    version: str
    alias: str
    run_id: str
    dataset: str
    nats_per_note: float | None
    critic_auc: float | None
    """None without a critic."""


def newest_critic(run: Run) -> Path | None:
    """Return the folder of the run's newest critic, None where it has none."""
    critics = sorted(run.folder.critics.glob("*/report.json"), key=lambda file: file.stat().st_mtime)
    return critics[-1].parent if critics else None


def register_run(parameters: RegisterParameters) -> RegisterReport:
    """Register a run with its newest critic as a version, and move the alias to it.

    Raises UserError and RegistryError.
    """
    lake = Lake.at(parameters.lake)
    run = find_run(lake, parameters.run)
    drawing = apply(DrawingConfig, run.drawing.model_dump(), parameters.drawing)
    critic_folder = newest_critic(run)
    critic = None if critic_folder is None else read_report(critic_folder)
    dataset = find_version(lake, run.dataset).local(lake)
    training = build_report(run, reused=True)
    reference = DatasetReference.of(dataset)
    registry = Registry.open(lake)
    run_id = open_run(registry, run.run_id, run.name, run.parameters, reference)
    if critic is not None:
        log_metrics(registry, run_id, [MetricRow(training.steps, time.time(), critic.metrics())])
    with staging_folder(run.folder.path) as staged:
        files = staged / BUNDLE  # MLflow keeps the folder's name
        files.mkdir()
        write_bundle(files, run, drawing, dataset, critic_folder)
        model = register(
            registry,
            run_id,
            files,
            reference,
            tags={
                "run": run.run_id,
                "preset": run.preset,
                **({} if critic is None else {"critic_auc": f"{critic.auc:.4f}"}),
            },
            card=model_card(run, drawing, dataset, training, critic),
        )
    set_alias(registry, model.version, parameters.alias)
    moved: RegisteredModel = find_model(registry, model.version)
    return RegisterReport(
        moved.version,
        parameters.alias,
        run.run_id,
        moved.dataset,
        training.nats_per_note,
        None if critic is None else critic.auc,
    )


def write_bundle(
    folder: Path, run: Run, drawing: DrawingConfig, dataset: DatasetVersion, critic_folder: Path | None
) -> None:
    """Copy all files that `modeling.generation.ModelBundle.load` reads; write drawing, pace and lineage."""
    for source in (run.folder.model, *(() if critic_folder is None else (critic_folder,))):
        for file in sorted(source.iterdir()):
            shutil.copy2(file, folder / file.name)
    write_encoding(folder, dataset.encoding)
    Pace.of(dataset).write(folder)
    (folder / DRAWING_FILE).write_text(drawing.model_dump_json(indent=1) + "\n", encoding="utf-8")
    lineage = {"run": run.run_id, "dataset": dataset.name, "digest": dataset.digest, "preset": run.preset}
    (folder / LINEAGE_FILE).write_text(json.dumps(lineage, indent=1) + "\n", encoding="utf-8")


def model_card(
    run: Run, drawing: DrawingConfig, dataset: DatasetVersion, training: RunReport, critic: CriticReport | None
) -> str:
    """Return the version's model card, as Markdown: the model, its training data and its measured quality."""
    about = dataset.description
    model = run.config.model
    loss = (
        "The dataset has no validation pieces."
        if training.nats_per_note is None
        else f"Validation loss: {training.nats_per_token:.3f} nats per token, {training.nats_per_note:.3f} per note."
    )
    return (
        f"MuseNet, preset `{run.preset}`: {training.parameters / 1e6:.1f} M parameters, {model.layers} layers, "
        f"{model.heads} heads, context {model.context}, {model.sparsity.mode} attention.\n\n"
        f"Trained {counted(training.steps, 'step')} ({training.seconds / 60:.1f} min, {training.precision}) on "
        f"`{run.dataset}`: {counted(sum(about.pieces.values()), 'piece')}, {counted(about.notes, 'note')}, "
        f"{about.hours:.1f} h; "
        f"styles: {', '.join(about.styles)}. Licences of the music: {', '.join(about.licences)}.\n\n"
        f"{loss} {_about_critic(critic)}\n\n"
        f"Drawn, where a request says nothing, at temperature {drawing.temperature:g} (of pitches "
        f"{drawing.temperature * drawing.pitch_temperature:g}), top-p {drawing.top_p:g}, tonality "
        f"{drawing.tonality:g}.\n\n"
        f"{_about_originality(dataset)}\n"
    )


def _about_originality(dataset: DatasetVersion) -> str:
    try:
        index = OriginalityIndex.open(dataset.path / ORIGINALITY)
    except MusenetError:
        return "Its training pieces have no index: how much of a sample stands in them is unknown."
    return (
        f"Samples are compared with its {counted(index.pieces, 'training piece')}, in any key and at any tempo: the "
        f"longest span in common and the nearest pieces stand in each sample's JSON file, and "
        f"`musenet originality FILE --dataset {dataset.name}` checks any other."
    )


def _about_critic(critic: CriticReport | None) -> str:
    if critic is None:
        return "It has no critic: candidates are ranked by their likelihood, or not at all."
    return (
        f"The critic tells real pieces from generated ones with AUC {critic.auc:.3f} on "
        f"{counted(critic.held_out_windows, 'held-out window')}, calibration error {critic.calibration_error:.3f}."
    )
