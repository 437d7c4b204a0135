"""A model beside another: both evaluated on the same families, headers and seeds, and their figures compared."""

from __future__ import annotations

from flows.evaluation.evaluation import Evaluation
from flows.evaluation.measured import Measured
from flows.evaluation.paired import LEAST_FAMILIES, compare_likelihoods, compare_pieces
from flows.evaluation.paired_report import ModelFigures, PairedReport
from flows.warm_start.heard import read_identities
from infra.errors import UserError
from infra.wording import counted


def compare_models(first: tuple[Evaluation, Measured], second: tuple[Evaluation, Measured]) -> PairedReport:
    """Compare two models that were evaluated with the same settings against the same dataset version."""
    (evaluation, model), (_, other) = first, second
    settings = evaluation.settings
    differences = compare_likelihoods(model.likelihoods, other.likelihoods, settings.resamples, settings.seed)
    differences += compare_pieces(model.groups, other.groups, model.report.groups, settings.resamples, settings.seed)
    few = sorted({each.group for each in differences if each.families < LEAST_FAMILIES})
    notices = [*model.report.notices, *(_may_have_seen(each) for each, _ in (first, second) if _is_unknown(each))]
    if few:
        notices.append(
            f"fewer than {counted(LEAST_FAMILIES, 'family', 'families')}, so nothing is told: {', '.join(few)}"
        )
    return PairedReport(
        model=_figures(*first),
        against=_figures(*second),
        dataset=model.report.dataset,
        settings=settings,
        differences=differences,
        notices=list(dict.fromkeys(notices)),
    )


def _figures(evaluation: Evaluation, measured: Measured) -> ModelFigures:
    report = measured.report
    return ModelFigures(
        name=report.source,
        digest=report.source_digest,
        trained_on=_trained_on(evaluation),
        critic=report.critic,
        tokens_per_second=report.tokens_per_second,
    )


def _trained_on(evaluation: Evaluation) -> str:
    if evaluation.composer is None:
        raise UserError(f"{evaluation.source} is no model: only models are compared")
    return evaluation.composer.identity.dataset


def _is_unknown(evaluation: Evaluation) -> bool:
    """True for a model of another dataset that does not say what it was trained on."""
    version = evaluation.version  # whose short form names it, whereas a model keeps the whole digest
    is_elsewhere = _trained_on(evaluation) != f"{version.name}@{version.digest}"
    composer = evaluation.composer
    return is_elsewhere and composer is not None and not read_identities(composer.files).complete


def _may_have_seen(evaluation: Evaluation) -> str:
    return (
        f"{evaluation.source} was trained on {_trained_on(evaluation)}, not on this version of the data: it may have "
        "seen pieces that are held out here"
    )
