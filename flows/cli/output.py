"""Input and output of commands: reports, and the files that a user names."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from infra.errors import UserError
from infra.files import write_atomically

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Variables of which one is set where a page can be shown."""
LISTED = 20
"""Lines of a kind that a report shows; `--json` has all."""


def browse(address: str) -> None:
    """Open a page in the browser, unless this is a machine without a display, which would list all that it lacks."""
    if sys.platform == "darwin" or any(os.environ.get(name) for name in DISPLAYS):
        click.launch(address)


def show(report: Any, lines: list[str], as_json: bool) -> None:
    """Print a report on standard output, as JSON or as lines."""
    click.echo(json.dumps(report, indent=1, default=str) if as_json else "\n".join(lines))


def read_bytes(path: Path) -> bytes:
    """Read a file that the user named. Raises UserError if it cannot be read."""
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file that the user named, atomically. Raises UserError if it cannot be written."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def command_prefix() -> str:
    """Return the command as the user can type it in the current folder."""
    program = Path(sys.argv[0])
    if program.is_absolute() and program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return str(program)
