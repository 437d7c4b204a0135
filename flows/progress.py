"""What a user sees while a flow runs: one line or bar per stage, on standard error.

On a terminal bars move; elsewhere (CI, a Prefect worker) each stage prints one line when it ends, so that logs
stay short.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True, highlight=False)


class Stage:
    """A running stage: tell it how far it is and what to show beside the bar."""

    def __init__(self, progress: Progress, title: str, total: int | None, unit: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total, note="", rate="")
        self._begun = time.perf_counter()
        self._unit = unit
        self.note = ""

    def update(self, done: int, total: int | None = None, note: str | None = None) -> None:
        """`done` of `total` units; `note` is short text such as `loss 3.21`."""
        self.note = self.note if note is None else note
        rate = f"{done / (time.perf_counter() - self._begun):,.0f} {self._unit}/s" if self._unit else ""
        self._progress.update(self._task, completed=done, total=total, note=self.note, rate=rate)

    def advance(self, count: int) -> None:
        """`count` more units are done."""
        self._progress.advance(self._task, count)

    def step(self, done: int, total: int) -> None:
        """As `update`; the form that plain callbacks have."""
        self.update(done, total)


@contextmanager
def stage(title: str, total: int | None = None, unit: str = "") -> Iterator[Stage]:
    """Show a stage until the block ends, then leave its last line standing. With a `unit` its rate is shown."""
    begun = time.perf_counter()
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[rate]}"),
        TextColumn("[dim]{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        running = Stage(progress, title, total, unit)
        yield running
    note = f"  [dim]{running.note}" if running.note else ""
    say(f"[green]✓[/] {title}  [dim]{time.perf_counter() - begun:.1f} s[/]{note}")


def say(text: str) -> None:
    """One line of information; the terminal wraps it, not we."""
    console.print(text, soft_wrap=True)
