"""What an evaluation adds to the model card of a version: its figures by style, as Markdown."""

from __future__ import annotations

from flows.evaluation.report import Estimate, EvaluationReport

HEADING = "## Measured"


def card_section(report: EvaluationReport, page: str) -> str:
    """Return the section; `page`: the evaluation's page among the artifacts of the version's run."""
    distances = {group.group: group.multiple for group in report.groups}
    rows = [
        f"| {each.group} | {each.families} | {_interval(each.nats_per_note, 3)} | {_interval(each.bits_per_second, 2)} "
        f"| {_times(distances.get(each.group))} |"
        for each in report.likelihoods
    ]
    return "\n".join(
        [
            HEADING,
            "",
            f"On held-out pieces of `{report.dataset}`, one of each family, with intervals of 95 %. The distance is "
            "that of composed pieces from real ones, where 1× is as far as real ones are apart.",
            "",
            "| style | families | nats per note | bits a second | distance |",
            "|---|---:|---:|---:|---:|",
            *rows,
            "",
            f"Every figure: `{page}` among the artifacts of its run.",
            "",
        ]
    )


def _interval(found: Estimate, digits: int) -> str:
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def _times(multiple: float | None) -> str:
    return "–" if multiple is None else f"{multiple:.2f}×"
