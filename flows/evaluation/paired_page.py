"""The report of two models compared, as one self-contained HTML page."""

from __future__ import annotations

from functools import cache

from jinja2 import Template
from markupsafe import Markup

from flows.evaluation.charts import Apart, differences
from flows.evaluation.likelihood import RATIOS
from flows.evaluation.paired_report import DISTANCE, Difference, PairedReport
from flows.pages import page_template

TEMPLATE = "paired.html.jinja"


def paired_page(report: PairedReport) -> str:
    """Render the page of a report."""
    ratios = [ratio.name for ratio in RATIOS]
    shown = [each for each in report.overall if each.figure not in ratios]
    lines = [Apart(each.title, each.difference.value, each.difference.low, each.difference.high) for each in shown]
    return _template().render(
        report=report,
        key=[each for name in ("nats_per_note", DISTANCE) if (each := report.of(name)) is not None],
        chart=Markup(differences(lines)) if lines else None,
        figures=report.overall,
        styles=[(ratio.title, rows) for ratio in RATIOS if len(rows := report.by_style(ratio.name)) > 1]
        + [
            (title, rows) for title, rows in [("Distance from real pieces", report.by_style(DISTANCE))] if len(rows) > 1
        ],
        told=sum(each.verdict != "no difference" for each in shown),
        compared=len(shown),
        settings=report.settings.model_dump_json(indent=1, exclude={"request"}),
        request=report.settings.request.model_dump_json(exclude_defaults=True),
    )


def _difference(each: Difference) -> str:
    """Format a difference with its interval, signs included."""
    apart = each.difference
    return f"{apart.value:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]".replace("-", "−")


@cache
def _template() -> Template:
    return page_template("flows.evaluation", TEMPLATE, apart=_difference)
