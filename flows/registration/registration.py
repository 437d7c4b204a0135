"""Registration: a run's model and critic become one model version, with the lineage back to the data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from flows.criticism.report import REPORT_FILE, read_report
from flows.parameters import LakeAddress
from flows.registration.card import model_card
from flows.registration.naming import Alias, name_version
from flows.registration.style_page import style_page
from flows.training.report import build_report
from flows.training.runs import Run, find_run, list_runs
from flows.warm_start.heard import identities_of
from infra.errors import UserError
from infra.files import link, staging_folder
from infra.lake import Lake
from infra.settings import apply
from modeling.config import DRAWING_FILE, DrawingConfig
from registry.aliases import version_of
from registry.identity import BUNDLE, LINEAGE_FILE, weights_digest
from registry.lineage import WEIGHTS_TAG, DatasetReference, parent_tags
from registry.models import CANDIDATE, CHAMPION, find_model, list_models
from registry.publishing import Measured, register
from registry.runs import code_of, open_run
from registry.store import Registry
from registry.style_map import StyleMap
from tokenization.dataset import DatasetVersion, find_version, write_encoding
from tokenization.dataset.pace import Pace
from tokenization.identities import IDENTITIES_FILE

BEST = "best"
STYLES_PAGE = "styles.html"
"""Map of the styles, in the version's folder."""
LOSSES = ("nats_per_note", "nats_per_token", "nats_per_note_all", "nats_per_token_all")
"""Figures of a version. Where the parent knows some validation pieces, the first two are of the others."""
LEAKS_TAG = "leaks"
"""Tag of a version with what is to be said of held-out pieces that its parent knew."""


class RegisterParameters(BaseModel):
    """The run to register, and the alias of its version."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    run: str
    """Id of a finished training run (a prefix is enough), `latest`, or `best`: see `choose_run`."""
    alias: Alias = CANDIDATE
    """A version becomes `champion` only if the gate lets it, otherwise `candidate`."""
    force: bool = False
    """True to make it champion whatever the gate says: see `flows.promotion`."""
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
    refused: str | None
    """Why it became `candidate` instead of `champion`; None where it has the alias that was asked for."""
    findings: tuple[str, ...]
    """What the gate found, a line each; nothing where it was not asked."""
    forced: bool
    """True if it became champion against the gate."""
    champion: str | None
    """The version that is champion beside it; None where there is none, or it is champion itself."""
    reused: bool
    """True if the run was registered before with the same files."""


def newest_critic(run: Run) -> Path | None:
    """Return the folder of the run's newest critic, None where it has none."""
    critics = sorted(run.folder.critics.glob("*/report.json"), key=lambda file: file.stat().st_mtime)
    return critics[-1].parent if critics else None


def choose_run(lake: Lake, reference: str) -> Run:
    """Return the finished run of an id, the newest of all (`latest`), or the best of its dataset (`best`).

    That is the run with the lowest nats per note on validation pieces among those on the dataset version of the newest
    run; losses on different datasets do not compare. Raises UserError.
    """
    if reference != BEST:
        return find_run(lake, reference)
    dataset = find_run(lake, "latest").dataset
    rivals = [run for run in list_runs(lake) if run.folder.has_model and run.dataset == dataset]
    measured = [(loss, run) for run in rivals if (loss := build_report(run, reused=True).nats_per_note) is not None]
    if not measured:
        raise UserError(f"no finished run on {dataset} was measured on validation pieces; name a run by its id")
    return min(measured, key=lambda pair: pair[0])[1]


def register_run(parameters: RegisterParameters) -> RegisterReport:
    """Register a run with its newest critic as a version, and move the alias to it.

    Raises UserError and RegistryError.
    """
    lake = Lake.at(parameters.lake)
    run = choose_run(lake, parameters.run)
    drawing = apply(DrawingConfig, run.drawing.model_dump(), parameters.drawing)
    critic_folder = newest_critic(run)
    critic = None if critic_folder is None else read_report(critic_folder)
    dataset = find_version(lake, run.dataset).local(lake)
    training = build_report(run, reused=True)
    reference = DatasetReference.of(dataset)
    registry = Registry.open(lake)
    known = {model.version for model in list_models(registry)}
    identities = identities_of(run, dataset)
    run_id = open_run(registry, run.run_id, run.name, run.parameters(dataset), reference, parent=run.config.parent)
    losses = {name: getattr(training, name) for name in LOSSES}
    figures = {name: loss for name, loss in losses.items() if loss is not None}
    measured = Measured(
        training.steps,
        (run.folder.metrics if critic_folder is None else critic_folder / REPORT_FILE).stat().st_mtime,
        {
            **figures,
            **({} if critic is None else critic.metrics()),
        },
    )
    with staging_folder(run.folder.path) as staged:
        files = staged / BUNDLE
        files.mkdir()
        write_bundle(files, run, drawing, dataset, critic_folder)
        identities.write(files / IDENTITIES_FILE)
        model = register(
            registry,
            run_id,
            files,
            reference,
            tags={
                "run": run.run_id,
                "preset": run.preset,
                "steps": str(training.steps),
                "critic": str(critic is not None).lower(),
                WEIGHTS_TAG: weights_digest(files),
                **parent_tags(run.config.parent),
                **({} if training.leaks is None else {LEAKS_TAG: training.leaks}),
                **{name: f"{loss:.4f}" for name, loss in figures.items()},
            },
            card=model_card(run, drawing, dataset, training, critic, identities, code_of(registry, run_id)),
            name=run.name,
            measured=measured,
            pages={STYLES_PAGE: style_page(StyleMap.of_files(files), run.name)},
        )
    named = name_version(lake, registry, model.version, parameters.alias, parameters.force)
    moved = find_model(registry, model.version)
    champion = version_of(registry, CHAMPION)
    return RegisterReport(
        version=moved.version,
        alias=named.alias,
        run_id=run.run_id,
        dataset=moved.dataset,
        nats_per_note=training.nats_per_note,
        critic_auc=None if critic is None else critic.auc,
        refused=named.refused,
        findings=named.findings,
        forced=named.forced,
        champion=None if champion == moved.version else champion,
        reused=moved.version in known,
    )


def write_bundle(
    folder: Path, run: Run, drawing: DrawingConfig, dataset: DatasetVersion, critic_folder: Path | None
) -> None:
    """Copy all files that `modeling.generation.ModelBundle.load` reads; write drawing, pace and lineage."""
    for source in (run.folder.model, *(() if critic_folder is None else (critic_folder,))):
        for file in sorted(source.iterdir()):
            link(str(file), str(folder / file.name))
    write_encoding(folder, dataset.encoding)
    Pace.of(dataset).write(folder)
    (folder / DRAWING_FILE).write_text(drawing.model_dump_json(indent=1) + "\n", encoding="utf-8")
    lineage: dict[str, Any] = {
        "run": run.run_id,
        "dataset": dataset.name,
        "digest": dataset.digest,
        "preset": run.preset,
    }
    if run.config.parent is not None:
        lineage["parent"] = run.config.parent.model_dump(exclude_none=True)
    (folder / LINEAGE_FILE).write_text(json.dumps(lineage, indent=1) + "\n", encoding="utf-8")
