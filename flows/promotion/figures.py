"""The figures of versions that they are judged by: losses, and the evaluations and comparisons in the lake."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from flows.evaluation.paired_report import FILES, PairedReport, read_paired_report
from flows.evaluation.report import REPORT_FILE, EvaluationReport, read_report
from infra.digests import canonical_digest
from infra.errors import RunError
from infra.lake import Lake
from registry.models import RegisteredModel


@dataclass(frozen=True)
class Figures:
    """What is known of a version."""

    version: str
    dataset: str
    """`name@digest` of the version whose validation pieces the loss is of."""
    nats_per_note: float | None
    distances: Mapping[str, float]
    """Median multiple of the floor by what the evaluation was: dataset version and settings; the newest last."""


def figures_of(lake: Lake, model: RegisteredModel) -> Figures:
    """Return the figures of a version, from its tags and from the evaluations in a lake."""
    loss = model.tags.get("nats_per_note")
    distances = {
        _kind(report): report.overall.multiple
        for report in _reports(lake)
        if report.source_digest == model.identity.digest and report.overall.multiple is not None
    }
    return Figures(model.version, model.dataset, None if loss is None else float(loss), distances)


def comparison_of(lake: Lake, model: RegisteredModel, other: RegisteredModel) -> PairedReport | None:
    """Return the newest comparison of two versions in a lake, None where they were not compared."""
    found = None
    for file in sorted(lake.evaluations.glob(f"*/{FILES}"), key=lambda file: file.stat().st_mtime):
        with contextlib.suppress(RunError, OSError):
            report = read_paired_report(file)
            if (report.model.digest, report.against.digest) == (model.identity.digest, other.identity.digest):
                found = report
    return found


def _reports(lake: Lake) -> list[EvaluationReport]:
    """Return the evaluations in a lake, oldest first; those of other releases are left out."""
    files = sorted(lake.evaluations.glob(f"*/{REPORT_FILE}"), key=lambda file: file.stat().st_mtime)
    found = []
    for file in files:
        with contextlib.suppress(RunError, OSError):
            found.append(read_report(file))
    return found


def _kind(report: EvaluationReport) -> str:
    return canonical_digest({"dataset": report.dataset, "settings": report.settings.model_dump(mode="json")})
