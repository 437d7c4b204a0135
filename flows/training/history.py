"""The history of a run: the state that its events, all attempts together, add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from modeling.training.events import (
    EarlyEnd,
    Evaluated,
    Event,
    Failed,
    Finished,
    RunStarted,
    StepTrained,
    early_end,
    newest_attempt,
    read_events,
)

_Kind = TypeVar("_Kind", bound=Event)


@dataclass(frozen=True)
class History:
    """The state of a run after all of its events."""

    start: RunStarted | None = None
    """The newest attempt's."""
    finished: Finished | None = None
    step: int = 0
    """The last step that was trained."""
    last_event_time: float | None = None
    """Seconds since the epoch."""
    error: str | None = None
    """The message of the error that ended the newest attempt."""
    stopped: EarlyEnd | None = None
    """The event that ended the newest attempt before the last step."""
    evaluations: tuple[Evaluated, ...] = ()
    """By step; of a step that was evaluated several times, the newest."""

    @property
    def seconds(self) -> float:
        """Time spent in training; 0 for a run that has never finished."""
        return self.finished.seconds if self.finished else 0.0

    @property
    def best(self) -> Evaluated | None:
        """The evaluation with the lowest loss."""
        return min(self.evaluations, key=lambda evaluation: evaluation.nats_per_token, default=None)

    @property
    def evaluations_since_best(self) -> int:
        best = self.best
        return 0 if best is None else sum(evaluation.step > best.step for evaluation in self.evaluations)


def read_history(metrics: Path) -> History:
    """Read the history from a run's `metrics.jsonl`; an empty one where there is no file."""
    events = list(read_events(metrics))
    attempt = newest_attempt(events)
    error = _last(attempt, Failed)
    evaluations = {event.step: event for event in events if isinstance(event, Evaluated)}
    return History(
        start=_last(events, RunStarted),
        finished=_last(events, Finished),
        step=next((event.step for event in reversed(events) if isinstance(event, StepTrained | Finished)), 0),
        last_event_time=events[-1].time if events else None,
        error=None if error is None else error.message,
        stopped=early_end(attempt),
        evaluations=tuple(evaluations[step] for step in sorted(evaluations)),
    )


def _last(events: Sequence[Event], kind: type[_Kind]) -> _Kind | None:
    """Return the last event of a kind."""
    return next((event for event in reversed(events) if isinstance(event, kind)), None)
