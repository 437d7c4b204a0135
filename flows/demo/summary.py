"""The demo's summary on a terminal: results, files, durations, and the pages to look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.demo.plan import DemoReport


def print_summary(report: DemoReport, command: Callable[[str], str]) -> None:
    """Print the summary on standard output. `command`: returns the command line of `musenet` with these words."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("stage", "made", "where"):
        table.add_column(title, overflow="fold")
    table.add_column("seconds", justify="right")
    for stage in report.stages:
        made = f"{stage.made} (reused)" if stage.reused else stage.made
        table.add_row(stage.name, made, _short(stage.where), f"{stage.seconds:.1f}")
    table.add_row("[bold]all", "", "", f"[bold]{sum(stage.seconds for stage in report.stages):.1f}")
    console = Console(highlight=False)
    console.print()
    console.print(table)
    console.print(f"\nComposed by version {report.champion}; piano rolls (.png) and tokens (.txt) lie beside them:")
    for piece in report.pieces:
        score = "" if piece.score is None else f", critic {piece.score:.2f}"
        console.print(f"  [bold]{_short(piece.audio or piece.midi)}[/]  {piece.seconds:.0f} s{score}")
    console.print("Hear more of it, and compose with it:")
    console.print(f"  {command('studio')}")
    console.print("The pages with these runs:")
    console.print(f"  {command('open prefect')}")
    console.print(f"  {command('open mlflow')}")


def _short(path: str) -> str:
    """Return a path relative to the working directory, where it lies below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else str(Path(relative))
