"""The report of a sweep: its trials, the best first, and which settings mattered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.sweeps.study import Trial
from infra.wording import counted


@dataclass(frozen=True)
class SweepReport:
    """A sweep in numbers."""

    name: str
    dataset: str
    minimised: str
    trials: list[Trial]
    """The best first, failed ones last."""
    importances: dict[str, float]
    """Share of the loss's variance by setting; empty after few trials."""

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest loss."""
        return self.trials[0] if self.trials and self.trials[0].value is not None else None

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        rows = [["trial", "run", self.minimised, *self._keys]]
        rows += [[str(t.number), t.run or "-", _loss(t), *self._values(t)] for t in self.trials]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        lines = [*table, *(f"trial {t.number} failed: {t.why}" for t in self.trials if t.value is None)]
        if self.importances:
            shares = ", ".join(f"{key} {share:.0%}" for key, share in self.importances.items())
            lines.append(f"of what differs: {shares}")
        if self.best is not None:
            lines.append(f"best of {counted(len(self.trials), 'trial')}: run {self.best.run}, {self.best.value:.4f}")
        return lines

    def markdown(self) -> str:
        """Return the report as a page."""
        head = ["trial", "run", self.minimised, *self._keys]
        rows = [[str(t.number), f"`{t.run or '-'}`", _loss(t), *self._values(t)] for t in self.trials]
        table = [head, ["---"] * len(head), *rows]
        text = [f"# Sweep {self.name}", "", f"On `{self.dataset}`, the best first.", ""]
        text += ["| " + " | ".join(row) + " |" for row in table]
        if self.importances:
            text += ["", "| setting | share of what differs |", "|---|---|"]
            text += [f"| {key} | {share:.0%} |" for key, share in self.importances.items()]
        return "\n".join(text) + "\n"

    @property
    def _keys(self) -> list[str]:
        return list(dict.fromkeys(key for trial in self.trials for key in trial.settings))

    def _values(self, trial: Trial) -> list[str]:
        return [_text(trial.settings.get(key)) for key in self._keys]


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return trials by their loss, failed ones last."""
    return sorted(trials, key=lambda trial: (trial.value is None, trial.value or 0.0, trial.number))


def _loss(trial: Trial) -> str:
    return "failed" if trial.value is None else f"{trial.value:.4f}"


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
