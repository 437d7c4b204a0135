"""The measures of an evaluation: all pieces measured, the sets compared, and the report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from flows.criticism.report import read_report as read_critic
from flows.evaluation.compare import GroupSets, compare
from flows.evaluation.evaluation import NOISE, SAMPLES, Evaluation, Progress, Sets
from flows.evaluation.groups import RealPiece
from flows.evaluation.likelihood import likelihood_reports
from flows.evaluation.measuring import Measuring, Subject
from flows.evaluation.report import CriticFigures, EvaluationReport
from flows.originality import find_index
from infra.errors import UserError
from registry.composer import Composer
from tokenization.dataset import TEST
from tokenization.encodings import Encoding
from tokenization.measures import Collected, PieceMeasures, collect

HELD_OUT, REAL = "held_out", "real"


@dataclass(frozen=True)
class Measured:
    """An evaluation's report, with what it was computed from."""

    report: EvaluationReport
    table: pl.DataFrame
    """A row for each piece."""
    groups: Mapping[str, GroupSets]
    likelihoods: pl.DataFrame
    """A row for each clean test piece, for all where none is clean; empty for a folder."""


def measure(evaluation: Evaluation, sets: Sequence[Sets], likelihoods: pl.DataFrame, on_progress: Progress) -> Measured:
    """Measure all pieces and compare the sets; `likelihoods`: from `Evaluation.foresee`."""
    settings = evaluation.settings
    index, reason = find_index(evaluation.lake, str(evaluation.version)) if settings.copying else (None, "")
    notices = [*evaluation.notices, *([f"copies are unknown: {reason}"] if reason else [])]
    if evaluation.test_pieces[1] != TEST:
        notices.append(f"likelihoods are of the {evaluation.test_pieces[1]} split: no piece was put aside for tests")
    every = likelihood_reports(likelihoods, settings.resamples, settings.seed)
    clean = likelihoods
    if len(likelihoods) and evaluation.leaked:
        clean = likelihoods.filter(~pl.col("piece").is_in(list(evaluation.leaked)))
    if 0 == len(clean) < len(likelihoods):
        clean = likelihoods
        notices.append("no test piece is clean: likelihoods say how well models remember, not what they have learned")
    is_one = len(clean) == len(likelihoods)
    if not is_one:
        notices.append(
            f"{len(likelihoods) - len(clean)} of {len(likelihoods)} test pieces are left out; with them it is "
            f"{every[0].nats_per_note.value:.3f} nats a note, {every[0].nats_per_token.value:.3f} a token"
        )
    measuring = Measuring(settings.extract, settings.request.longest_note, index)
    without_copies = replace(measuring, index=None)
    own = evaluation.version.encoding
    groups, tables = {}, []

    def measured(kind: str, group: str, subjects: list[Subject], encoding: Encoding) -> Collected:
        found: list[PieceMeasures] = []
        for number, subject in enumerate(subjects):
            checked = number < settings.copying and kind != NOISE
            found.append((measuring if checked else without_copies).measure(subject, encoding))
            on_progress(1)
        columns = collect(found)
        labels = {"group": group, "set": kind, "piece": [subject.name for subject in subjects]}
        tables.append(pl.DataFrame(labels).hstack(columns.to_table()))
        return columns

    for each in sets:
        name = each.group.name
        groups[name] = GroupSets(
            samples=measured(SAMPLES, name, each.samples, each.encoding),
            held_out=measured(HELD_OUT, name, real_subjects(each.group.held_out, own), own),
            real=measured(REAL, name, real_subjects(each.group.others, own), own),
            references={kind: measured(kind, name, found, own) for kind, found in each.references.items()},
        )
    report = EvaluationReport(
        source=evaluation.source,
        source_digest=evaluation.source_digest,
        dataset=str(evaluation.version),
        settings=settings,
        groups=compare(groups, settings.resamples, settings.seed),
        likelihoods=every if is_one else likelihood_reports(clean, settings.resamples, settings.seed),
        likelihoods_all=[] if is_one else every,
        critic=_critic(evaluation.composer),
        tokens_per_second=_speed(sets),
        notices=notices,
    )
    return Measured(report, pl.concat(tables, how="vertical"), groups, clean)


def _critic(composer: Composer | None) -> CriticFigures | None:
    """Return the figures of the version's critic, from its own report."""
    if composer is None or not composer.has_critic:
        return None
    try:
        report = read_critic(composer.files)
    except (UserError, OSError):  # registered by another release
        return None
    return CriticFigures(auc=report.auc, calibration_error=report.calibration_error)


def _speed(sets: Sequence[Sets]) -> float | None:
    """Return the tokens a second of composing, None where that is not known."""
    if any(each.seconds is None for each in sets):
        return None
    tokens = sum(len(subject.tokens) for each in sets for subject in each.samples if subject.tokens is not None)
    return tokens / max(sum(each.seconds or 0.0 for each in sets), 1e-9)


def real_subjects(pieces: list[RealPiece], encoding: Encoding) -> list[Subject]:
    """Return real pieces; copies of a piece's own family do not count."""
    return [Subject(piece.piece_id, encoding.decode(piece.tokens), piece.tokens, piece.family) for piece in pieces]
