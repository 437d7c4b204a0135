"""The verdict of the gate as one self-contained HTML page, with every figure that is known of both versions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from jinja2 import Template

from flows.evaluation.paired_report import PairedReport
from flows.pages import page_template
from flows.promotion.gate import Gate
from flows.promotion.verdict import Verdict
from registry.identity import MODEL_NAME
from registry.models import RegisteredModel

TEMPLATE = "verdict.html.jinja"
SHOWN = (
    *("preset", "run", "dataset", "steps", "nats_per_note", "nats_per_token", "critic"),
    *("evaluated_on", "test_nats_per_note", "test_nats_per_note_interval", "test_bits_per_second", "distance"),
)
"""Tags of the versions that the page shows, where one of them has it."""


def verdict_page(
    verdict: Verdict,
    alias: str,
    outcome: str,
    gate: Gate,
    models: Sequence[RegisteredModel],
    paired: PairedReport | None,
) -> str:
    """Render a verdict.

    `models`: the candidate, and the version before it if there is one. `paired`: both on the same families.
    """
    return _template().render(
        verdict=verdict,
        alias=alias,
        outcome=outcome,
        name=f"{MODEL_NAME} {verdict.version}",
        models=models,
        shown=[name for name in SHOWN if any(name in model.tags for model in models)],
        paired=paired,
        rules=gate.model_dump_json(indent=1),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


@cache
def _template() -> Template:
    return page_template("flows.promotion", TEMPLATE, number=_number)
