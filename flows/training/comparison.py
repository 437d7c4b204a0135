"""Two runs side by side: the settings that differ, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass

from flows.training.runs import Run
from infra.settings import flatten


@dataclass(frozen=True)
class Difference:
    """A setting or a result of two runs; None for one that a run does not have."""

    name: str
    first: str | float | None
    second: str | float | None


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs."""

    settings: list[Difference]
    """Only those that differ, by dotted name."""
    results: list[Difference]
    """All, of the best evaluation on validation pieces."""

    def lines(self) -> list[str]:
        """Return the comparison as a table."""
        rows = [(row.name, _text(row.first), _text(row.second)) for row in (*self.settings, *self.results)]
        name, first = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
        return [f"{row[0]:{name}}  {row[1]:{first}}  {row[2]}" for row in rows]


def compare_runs(first: Run, second: Run) -> Comparison:
    """Compare two runs, finished or not."""
    ours, theirs = (_settings(run) for run in (first, second))
    differing = [name for name in dict.fromkeys((*ours, *theirs)) if ours.get(name) != theirs.get(name)]
    left, right = (_results(run) for run in (first, second))
    return Comparison(
        [Difference(name, ours.get(name), theirs.get(name)) for name in differing],
        [Difference(name, left.get(name), right.get(name)) for name in dict.fromkeys((*left, *right))],
    )


def _settings(run: Run) -> dict[str, str]:
    config = run.config
    nested = {
        "dataset": run.dataset,
        "preset": run.preset,
        "ranks": config.world_size,
        "model": config.model.model_dump(mode="json"),
        "training": config.training.model_dump(mode="json"),
        "drawing": run.drawing.model_dump(mode="json"),
    }
    return {name: str(value) for name, value in flatten(nested).items()}


def _results(run: Run) -> dict[str, float | None]:
    history = run.history()
    best = history.best
    found: dict[str, float | None] = {"step": history.step, "seconds": history.seconds}
    if best is not None:
        found |= {"best step": best.step, "nats/note": best.nats_per_note, "nats/token": best.nats_per_token}
        found |= {f"nats/token {style}": loss for style, loss in sorted(best.by_style.items())}
    return found


def _text(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "-" if value is None else str(value)
