"""What all commands share: options, the surroundings of a flow, errors in one line, reports.

Exit status: 0 done, 1 failed, 2 wrong usage or an unknown name, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from infra.errors import MusenetError
from infra.lake import LAKE_VARIABLE, Lake

Command = TypeVar("Command", bound=Callable[..., Any])
FAILED, WRONG, INTERRUPTED, TERMINATED = 1, 2, 130, 143


def lake_option(command: Command) -> Command:
    """`--lake DIR`, as a Lake."""
    return click.option(
        "--lake",
        metavar="DIR",
        envvar=LAKE_VARIABLE,
        default=None,
        callback=lambda _context, _parameter, value: Lake.at(value),
        help="Folder that everything is written to.  [default: ./lake]",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`: the report as JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command)


@contextmanager
def running(lake: Lake) -> Iterator[None]:
    """The surroundings of a flow: quiet libraries, a Prefect API, errors in one line.

    Flows must be imported inside the block.
    """
    with errors():
        os.environ.update(lake.environment())
        from infra.services.servers import prefect_server

        with prefect_server(lake):
            yield


@contextmanager
def errors() -> Iterator[None]:
    """Turn expected errors into one line and an exit status."""
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted; what was finished is kept, the same command goes on from there", INTERRUPTED)
    except Exception as error:
        if isinstance(error, MusenetError):
            _end(_message(error), error.exit_status)
        if "pydantic" in sys.modules and isinstance(error, sys.modules["pydantic"].ValidationError):
            _end(_message(error), WRONG)
        raise


def _message(error: Exception) -> str:
    """One line; of pydantic's report the first fault."""
    if hasattr(error, "errors"):
        fault = error.errors()[0]
        problem = str(fault["msg"]).removeprefix("Value error, ")
        if not fault["loc"] or (fault["type"], type(fault["input"])) == ("value_error", dict):
            # settings that do not fit each other
            return problem
        return f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}: {problem}"
    return " ".join(str(error).split())


def _end(message: str, status: int) -> NoReturn:
    click.echo(f"musenet: {message}", err=True)
    sys.exit(status)


def show(report: Any, lines: list[str], as_json: bool) -> None:
    """Print a report on standard output: as JSON or as lines."""
    click.echo(json.dumps(report, indent=1, default=str) if as_json else "\n".join(lines))


def settings_of(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
    return dict(pair.split("=", 1) for pair in pairs)


def read_bytes(path: Path) -> bytes:
    from infra.errors import UserError

    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises UserError if it cannot be."""
    from infra.errors import UserError
    from infra.files import write_atomically

    try:
        write_atomically(path, data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


encoding_option = click.option("--encoding", metavar="NAME", help="How notes become tokens.  [default: combined]")
time_option = click.option(
    "--time", type=click.Choice(["seconds", "beats"]), help="What ticks count.  [default: seconds]"
)
vocabulary_option = click.option(
    "--vocabulary", metavar="NAME|FILE", help="A name, a .toml, or a dataset's vocabulary.json.  [default: musenet]"
)


def command_prefix() -> str:
    """The command as the user can type it here."""
    program = Path(sys.argv[0])
    if program.is_absolute() and program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return str(program)
