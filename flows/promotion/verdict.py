"""The verdict of the gate: what each rule found, as lines of text and as a page."""

from __future__ import annotations

from flows.evaluation.report import Estimate
from flows.promotion.gate import Strict


class Finding(Strict):
    """One rule's outcome."""

    rule: str
    """`nats_per_note`, `styles`, `distance` or `measures.NAME`."""
    candidate: float | None
    champion: float | None
    limit: float | None
    """The highest value that is not worse than the rule allows; None where there is nothing to compare."""
    passed: bool
    difference: Estimate | None = None
    """Of the candidate to the champion on the same families; None where each was measured by itself."""
    detail: str = ""
    """Which style it is of, why nothing could be compared, or what the outcome rests on."""

    def line(self) -> str:
        """Return the finding as a line of text."""
        verdict = "passed" if self.passed else "not passed"
        if self.candidate is None or self.champion is None or self.limit is None:
            return f"{self.rule}: {verdict}, {self.detail}"
        figures = f"{self.candidate:.4f} beside {self.champion:.4f} (at most {self.limit:.4f})"
        apart = self.difference
        interval = "" if apart is None else f", difference {apart.value:+.4f} [{apart.low:+.4f}, {apart.high:+.4f}]"
        return f"{self.rule}: {verdict}, {figures}{interval}{', ' if self.detail else ''}{self.detail}"


class Verdict(Strict):
    """What the gate says of a candidate for the place of a champion."""

    version: str
    against: str | None
    """The champion's version; None where there was none, and every version passes."""
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True if all rules are."""
        return all(finding.passed for finding in self.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(finding for finding in self.findings if not finding.passed)
