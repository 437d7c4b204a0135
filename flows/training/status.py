"""The state of training runs, as `musenet runs` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flows.training.runs import LOCK_FILE, Run, read_run, run_folders
from infra.errors import UserError, unknown_name
from infra.lake import Lake
from infra.locks import is_held

STOPPED = {"out_of_time": "time limit", "stopped_early": "no better for long"}


@dataclass(frozen=True)
class RunState:
    """One run and how far it is."""

    run_id: str
    preset: str
    dataset: str
    state: str
    """`running`, `finished`, `failed`, `unfinished`, or `unreadable`: made by another version of this program."""
    finished: bool
    """Whether there is a trained model."""
    step: int
    steps: int
    nats_per_note: float | None
    """The best one on the validation split."""
    when: float | None
    """Time of the last report, as `time.time()` has it."""
    reason: str | None
    """Why it failed, or stopped before its last step."""

    def line(self) -> str:
        """The state in one line."""
        how = f"{self.state} ({self.reason})" if self.state == "finished" and self.reason else self.state
        how = f"{how}: {self.reason}" if self.state in ("failed", "unreadable") else how
        best = "-" if self.nats_per_note is None else f"{self.nats_per_note:.3f} nats/note"
        when = "-" if self.when is None else f"{datetime.fromtimestamp(self.when):%Y-%m-%d %H:%M}"
        return (
            f"{self.run_id}  {self.preset}  {self.dataset}  step {self.step:,} of {self.steps:,}  {best}  {when}  {how}"
        )


def run_states(lake: Lake, prefix: str = "") -> list[RunState]:
    """The states of the runs whose id begins so, the most recently started last. Raises UserError when none does."""
    folders = run_folders(lake)
    chosen = [folder for folder in folders if folder.name.startswith(prefix)]
    if prefix and not chosen:
        raise unknown_name("run", prefix, [folder.name for folder in folders], "train one with `musenet train`")
    return [_state_in(folder) for folder in chosen]


def _state_in(folder: Path) -> RunState:
    try:
        return run_state(read_run(folder))
    except UserError as error:
        return RunState(folder.name, "-", "-", "unreadable", False, 0, 0, None, None, str(error))


def run_state(run: Run) -> RunState:
    """The state of a run."""
    history = run.history()
    if is_running(run):
        state, reason = "running", None
    elif history.error is not None:
        state, reason = "failed", history.error
    elif run.is_complete():
        state, reason = "finished", STOPPED.get(history.stopped or "")
    else:
        state, reason = "unfinished", None
    best = history.best
    return RunState(
        run_id=run.run_id,
        preset=run.preset,
        dataset=run.dataset,
        state=state,
        finished=run.finished,
        step=history.step,
        steps=run.config.training.steps,
        nats_per_note=None if best is None else best["nats_per_note"],
        when=history.when,
        reason=reason,
    )


def is_running(run: Run) -> bool:
    """True while a process trains this run: it holds the run's lock."""
    return is_held(run.folder / LOCK_FILE)
