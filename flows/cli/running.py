"""The surroundings of a command: quiet libraries, a Prefect API, and errors as one line and an exit status.

Exit status: 0 done, 1 failed, 2 wrong usage or an unknown name, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from infra.errors import MusenetError, UserError
from infra.lake import Lake

FAILED, INTERRUPTED, TERMINATED = 1, 130, 143


@contextmanager
def running(lake: Lake, *modules: str) -> Iterator[None]:
    """Run flows in the block: quiet libraries, a Prefect API on the lake's database, errors in one line.

    Import the flows inside the block; `modules` are theirs, which are loaded while the server starts.
    """
    with errors():
        from flows.session import flow_session

        with flow_session(lake, *modules):
            yield


@contextmanager
def errors() -> Iterator[None]:
    """Report the errors that a user can act on as one line and an exit status; other exceptions pass."""
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted; finished work is kept, and the same command resumes", INTERRUPTED)
    except MusenetError as error:
        _end(" ".join(str(error).split()), error.exit_status)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f"{error.filename} cannot be written: " if error.filename else ""
        _end(f"{place}{error.strerror}; free disk space, and the same command goes on", FAILED)
    except ValueError as error:
        if "pydantic" not in sys.modules:  # otherwise a ValidationError cannot have been raised
            raise
        from pydantic import ValidationError

        from infra.settings import one_line

        if not isinstance(error, ValidationError):
            raise
        _end(one_line(error), UserError.exit_status)


def _end(message: str, status: int) -> NoReturn:
    click.echo(f"musenet: {message}", err=True)
    sys.exit(status)
