"""The demo's stages in a line each, from the reports of their flows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.criticism.report import CriticReport
from flows.demo.plan import StageReport
from flows.evaluation.flow import EvaluateReport
from flows.evaluation.paired_report import DISTANCE
from flows.ingestion.flow import IngestReport
from flows.promotion.judging import NATS
from flows.promotion.promotion import Promotion
from flows.registration.registration import RegisterReport
from flows.sampling.export import Sample
from flows.sampling.flow import SampleReport
from flows.starter_model.shipped import STARTER_FILE
from flows.training.report import RunReport
from infra.lake import Lake
from infra.wording import counted
from registry.models import RegisteredModel


def starter_stage(model: RegisteredModel, file: str, seconds: float) -> StageReport:
    """What came with the box."""
    made = f"version {model.version}, trained for {counted(int(model.tags['steps']), 'step')}"
    return StageReport("starter", f"{made}, came with musenet" if file == str(STARTER_FILE) else made, file, seconds)


def ingestion_stage(report: IngestReport, seconds: float) -> StageReport:
    about = report.version.description
    made = f"{counted(sum(about.pieces.values()), 'piece')}, {counted(sum(about.tokens.values()), 'token')}"
    return StageReport("ingest", made, str(report.version.folder), seconds, report.reused)


def training_stage(report: RunReport, seconds: float) -> StageReport:
    held_out = "" if report.nats_per_note is None else f", {report.nats_per_note:.2f} nats/note held out"
    return StageReport("train", f"{report.extent()} further{held_out}", report.folder, seconds, report.reused)


def critic_stage(report: CriticReport, seconds: float) -> StageReport:
    return StageReport("critic", f"AUC {report.auc:.3f} on held-out pieces", report.folder, seconds, report.reused)


def registration_stage(report: RegisterReport, lake: Lake, seconds: float) -> StageReport:
    made = f"version {report.version}, model and critic"
    return StageReport("register", made, str(lake.registry_database), seconds)


def evaluation_stage(report: EvaluateReport, seconds: float) -> StageReport:
    """The trained model beside the one that came with the box, on pieces that neither was trained on."""
    paired = report.against
    found = [] if paired is None else [paired.of(NATS), paired.of(DISTANCE)]
    units = ("nats/note", "× the distance between real pieces")
    told = [f"{each.against:.2f} → {each.model:.2f} {unit}" for each, unit in zip(found, units) if each is not None]
    return StageReport("evaluate", ", ".join(told), report.against_page or report.page, seconds)


def gate_stage(promotion: Promotion, seconds: float) -> StageReport:
    if promotion.refused is None:
        made = f"version {promotion.version} is {promotion.alias}"
    else:
        made = f"version {promotion.before} stays {promotion.alias}"
    return StageReport("gate", made, promotion.page, seconds)


def sampling_stage(reports: Sequence[SampleReport], pieces: Sequence[Sample], seconds: float) -> StageReport:
    candidates = sum(report.candidates for report in reports)
    of = f", the best of {counted(candidates, 'candidate')}" if candidates > len(pieces) else ""
    made = f"{counted(len(pieces), 'piece')}{of}"
    return StageReport("sample", made, str(Path(pieces[0].midi).parent), seconds)
