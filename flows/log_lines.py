"""The log of flows as JSON lines, for collectors of logs.

Where `MUSENET_LOG` names a file, each line of the log of a flow run (`flows.progress`) is appended to it as a JSON
object of its own, which says what the run is about.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.progress import logger
from infra.errors import UserError

LOG_VARIABLE = "MUSENET_LOG"

Subject = Callable[[], dict[str, Any]]
"""Returns what a flow run is about, as far as it is known."""
_subject: contextvars.ContextVar[Subject | None] = contextvars.ContextVar("subject", default=None)


@contextmanager
def log_lines(subject: Subject) -> Iterator[None]:
    """Append the lines of a flow run, which is the block, to the file; of a flow within another, with its own subject.

    Raises UserError for a file that cannot be written to.
    """
    path = os.environ.get(LOG_VARIABLE)
    if not path:
        yield
        return
    handler = _open(Path(path).expanduser()) if _subject.get() is None else None
    token = _subject.set(subject)
    try:
        if handler is not None:
            logger.addHandler(handler)
        yield
    finally:
        _subject.reset(token)
        if handler is not None:
            logger.removeHandler(handler)
            handler.close()


def _open(path: Path) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} ({LOG_VARIABLE}) cannot be written to: {error.strerror}; name another file") from error
    handler.setFormatter(_Formatter())
    return handler


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        subject = _subject.get()
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        about = {} if subject is None else subject()
        return json.dumps({"time": time, "level": record.levelname.lower(), "message": record.getMessage(), **about})
