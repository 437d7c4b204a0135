"""Progress of a flow: bars and lines on standard error, and lines in the run's log on Prefect's page.

On a terminal bars move; elsewhere (CI, a Prefect worker) each stage prints one line when it ends, so that output
stays short. The logger `musenet` gets each stage's begin, progress every `LOG_SECONDS`, and end, and every notice and
warning. Prefect sends its records to the run that the calling thread works on, where `PREFECT_LOGGING_EXTRA_LOGGERS`
names the logger; nothing of it is printed. A longer stage that knows its end is a progress artifact there, too.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from infra.services.flow_run import show_progress

LOG_SECONDS = 10.0
"""Least time between two lines on a stage's progress in the log."""

console = Console(stderr=True, highlight=False)

logger = logging.getLogger("musenet")
logger.setLevel(logging.INFO)
logger.propagate = False  # the console shows the same as bars and lines
logger.addHandler(logging.NullHandler())


class Stage:
    """A running stage, to be told how far it is and what to show beside the bar. Any thread may report."""

    def __init__(self, progress: Progress, title: str, total: int | None, unit: str) -> None:
        self.title = title
        self.note = ""
        """Short text beside the bar and in the last line, such as `loss 3.21`."""
        self._progress = progress
        self._task = progress.add_task(escape(title), total=total, note="", rate="")
        self._begun = time.perf_counter()
        self._logged = self._begun
        self._done = 0
        self._total = total
        self._unit = unit
        self._artifact: str | None = None
        self._context = contextvars.copy_context()

    @property
    def seconds(self) -> float:
        """Time since the stage began."""
        return time.perf_counter() - self._begun

    def update(self, done: int, total: int | None = None, note: str | None = None) -> None:
        """Report that `done` of `total` units are done; None leaves total and note as they are."""
        self.note = self.note if note is None else note
        self._done = done
        self._total = self._total if total is None else total
        rate = f"{done / self.seconds:,.0f} {self._unit}/s" if self._unit else ""
        self._progress.update(self._task, completed=done, total=total, note=escape(self.note), rate=rate)
        self._log_progress(rate)

    def advance(self, count: int) -> None:
        """Report that `count` more units are done."""
        self._done += count
        self._progress.advance(self._task, count)
        self._log_progress("")

    def step(self, done: int, total: int) -> None:
        """Report as `update` does; has the form of a plain callback."""
        self.update(done, total)

    def log(self, level: int, text: str) -> None:
        """Add a line on this stage to the log of the run that it began in."""
        self._context.copy().run(logger.log, level, "%s: %s", self.title, text)

    def _log_progress(self, rate: str) -> None:
        now = time.perf_counter()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            done = f"{self._done:,}" + (f" of {self._total:,}" if self._total else "")
            text = "  ".join(filter(None, (done, rate, self.note)))
            self.log(logging.INFO, text)
            if self._total:
                percent = 100 * min(self._done / self._total, 1.0)
                about, context = f"{self.title}: {text}", self._context.copy()
                self._artifact = context.run(show_progress, self._artifact, percent, about)


@contextmanager
def stage(title: str, total: int | None = None, unit: str = "") -> Iterator[Stage]:
    """Show a stage until the block ends, then leave its last line standing. With a `unit`, its rate is shown."""
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
        running.log(logging.INFO, "begins")
        try:
            yield running
        except BaseException as error:
            running.log(logging.ERROR, f"stopped after {running.seconds:.1f} s by {type(error).__name__}")
            raise
    note = f"  {running.note}" if running.note else ""
    running.log(logging.INFO, f"done in {running.seconds:.1f} s{note}")
    _print(f"[green]✓[/] {escape(title)}  [dim]{running.seconds:.1f} s{escape(note)}")


def say(text: str) -> None:
    """Show one line of information."""
    logger.info("%s", text)
    _print(escape(text))


@cache
def say_once(text: str) -> None:
    """Show one line of information, unless this process has shown it before."""
    say(text)


def tick(text: str) -> None:
    """Show one line on work that is done, or was done before."""
    logger.info("%s", text)
    _print(f"[green]✓[/] {escape(text)}")


def warn(text: str) -> None:
    """Show a warning as one line."""
    logger.warning("%s", text)
    _print(f"[yellow]![/] {escape(text)}")


def in_this_run(report: Callable[[str], None]) -> Callable[[str], None]:
    """Return `say`, `tick` or `warn` bound to the calling thread's run, for other threads to report to its log."""
    context = contextvars.copy_context()
    return lambda text: context.copy().run(report, text)


def _print(markup: str) -> None:
    """Print one line; the terminal wraps it."""
    console.print(markup, soft_wrap=True)
