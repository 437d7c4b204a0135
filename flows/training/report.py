"""The report of a training run that has finished."""

from __future__ import annotations

from dataclasses import dataclass

from flows.training.runs import Run
from infra.wording import counted
from modeling.config import Leaks


@dataclass(frozen=True)
class RunReport:
    """A finished training run in numbers."""

    run_id: str
    folder: str
    dataset: str
    preset: str
    parameters: int
    steps: int
    seconds: float
    precision: str
    nats_per_token: float | None
    """Loss on the validation split."""
    nats_per_note: float | None
    nats_per_token_all: float | None
    """Loss with the validation pieces that the parent knows, where they are left out above; else None."""
    nats_per_note_all: float | None
    parent: str | None
    """The model that the run began with, in words."""
    leaks: str | None
    """What is to be said of held-out pieces that the parent knows; None where there is nothing."""
    planned_steps: int
    stopped_early: bool
    """True if the time limit or a plateau ended the run before its last step."""
    reason: str | None
    """The reason for that, in words."""
    reused: bool
    """True if the run had finished before this call."""

    def extent(self) -> str:
        """Say how far the run has come: `500 steps`, or `123 of 500 steps, stopped early (time limit)`."""
        if not self.stopped_early:
            return counted(self.steps, "step")
        reason = "" if self.reason is None else f" ({self.reason})"
        return f"{self.steps:,} of {counted(self.planned_steps, 'step')}, stopped early{reason}"

    def markdown(self) -> str:
        """Format the report as a page for Prefect."""
        loss = "no validation pieces" if self.nats_per_token is None else f"{self.nats_per_token:.3f} nats/token"
        if self.nats_per_token_all is not None:
            loss += f" of clean pieces, {self.nats_per_token_all:.3f} of all"
        parent = "" if self.parent is None else f" It began with {self.parent}."
        leaks = "" if self.leaks is None else f"\n{self.leaks[0].upper()}{self.leaks[1:]}.\n"
        return (
            f"# Run {self.run_id}\n\nPreset `{self.preset}` ({self.parameters / 1e6:.1f} M parameters) on "
            f"`{self.dataset}`: {self.extent()}; {self.seconds / 60:.1f} min ({self.precision})."
            f"{parent}\n\nValidation loss: {loss}.\n{leaks}"
        )


def build_report(run: Run, reused: bool) -> RunReport:
    """Return the report of a finished run."""
    history = run.history()
    start, finished = history.start, history.finished
    assert start is not None and finished is not None, f"run {run.run_id} has a model but no events"
    return RunReport(
        run_id=run.run_id,
        folder=str(run.folder),
        dataset=run.dataset,
        preset=run.preset,
        parameters=start.parameters,
        steps=finished.step,
        seconds=finished.seconds,
        precision=start.precision,
        nats_per_token=finished.nats_per_token,
        nats_per_note=finished.nats_per_note,
        nats_per_token_all=finished.nats_per_token_all,
        nats_per_note_all=finished.nats_per_note_all,
        parent=None if run.config.parent is None else run.config.parent.in_words,
        leaks=(leaks.line or None) if (leaks := Leaks.read(run.folder.parent)) else None,
        planned_steps=run.config.training.steps,
        stopped_early=finished.step < run.config.training.steps,
        reason=None if history.stopped is None else history.stopped.reason,
        reused=reused,
    )
