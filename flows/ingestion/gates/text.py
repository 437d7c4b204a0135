"""Results of rules as text, for messages and reports."""

from __future__ import annotations

from infra.wording import counted
from tokenization.dataset.description import GateResult


def amount(value: float, unit: str) -> str:
    """Format a value or limit with its unit: `12 pieces`, `0.5 hours`, `62.5 %`."""
    if unit == "share":
        return f"{100 * value:.4g} %"
    if unit == "hours":
        return f"{value:,.4g} {'hour' if value == 1 else 'hours'}"
    return counted(round(value), unit.removesuffix("s"))


def describe_broken(result: GateResult) -> str:
    """Describe a rule that is broken: the value, the limit, by how much, and the finding behind it."""
    short = result.rule.startswith("min_")
    beyond = f"{amount(abs(result.value - result.limit), result.unit)} {'below' if short else 'above'} the limit of"
    finding = f" ({result.detail})" if result.detail else ""
    return f"{result.rule}: {amount(result.value, result.unit)}, {beyond} {amount(result.limit, result.unit)}{finding}"
