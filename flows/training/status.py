"""The status of training runs, as `musenet runs` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flows.training.history import History
from flows.training.runs import Run, only_match, read_run
from infra.errors import UserError, unknown_name
from infra.lake import Lake
from infra.locks import is_held
from modeling.training.run_folder import RunFolder, run_folders

State = Literal["running", "finished", "failed", "unfinished", "unreadable"]
"""`unreadable`: written by another version of musenet."""


@dataclass(frozen=True)
class RunStatus:
    """One run and its progress."""

    run_id: str
    preset: str
    dataset: str
    state: State
    finished: bool
    """True if there is a trained model."""
    step: int
    steps: int
    nats_per_note: float | None
    """The best one on the validation split."""
    when: float | None
    """Time of the last event, in seconds since the epoch."""
    reason: str | None
    """The reason why the run failed, is unreadable, or stopped before its last step."""

    def line(self) -> str:
        """Format the status as one line."""
        state = f"{self.state} ({self.reason})" if self.reason else self.state
        state = f"{self.state}: {self.reason}" if self.state in ("failed", "unreadable") else state
        best = "-" if self.nats_per_note is None else f"{self.nats_per_note:.3f} nats/note"
        when = "-" if self.when is None else f"{datetime.fromtimestamp(self.when):%Y-%m-%d %H:%M}"
        progress = f"step {self.step:,} of {self.steps:,}"
        return f"{self.run_id}  {self.preset}  {self.dataset}  {progress}  {best}  {when}  {state}"


def list_status(lake: Lake, prefix: str = "") -> list[RunStatus]:
    """Return the status of the runs whose id begins with a prefix, the most recently started last.

    Raises UserError when there is none with that prefix.
    """
    folders = run_folders(lake.runs)
    matching = [folder for folder in folders if folder.run_id.startswith(prefix)]
    if prefix and not matching:
        raise unknown_name("run", prefix, [folder.run_id for folder in folders], "train one with `musenet train`")
    return [_folder_status(folder) for folder in matching]


def find_any_run(lake: Lake, prefix: str) -> Run:
    """Return the run whose id begins with a prefix, finished or not. Raises UserError."""
    found = only_match(prefix, list_status(lake, prefix))
    return read_run(RunFolder(lake.runs / found.run_id))


def _folder_status(folder: RunFolder) -> RunStatus:
    try:
        return run_status(read_run(folder))
    except UserError as error:
        return RunStatus(folder.run_id, "-", "-", "unreadable", False, 0, 0, None, None, str(error))


def run_status(run: Run) -> RunStatus:
    """Return the status of a run."""
    history = run.history()
    state, reason = _state(run, history)
    return RunStatus(
        run_id=run.run_id,
        preset=run.preset,
        dataset=run.dataset,
        state=state,
        finished=run.folder.has_model,
        step=history.step,
        steps=run.config.training.steps,
        nats_per_note=None if history.best is None else history.best.nats_per_note,
        when=history.last_event_time,
        reason=reason,
    )


def _state(run: Run, history: History) -> tuple[State, str | None]:
    """Return the state of a run and the reason for it."""
    if is_running(run.folder):
        return "running", None
    if history.error is not None:
        return "failed", history.error
    reason = None if history.stopped is None else history.stopped.reason
    return "finished" if run.is_complete() else "unfinished", reason


def is_running(folder: RunFolder) -> bool:
    """True if some process trains the run now, that is, holds its lock."""
    return is_held(folder.lock)
