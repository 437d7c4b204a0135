"""Further attempts at a task whose failure may pass by itself, such as that of a store or a database that is away.

Only flow runs of workers make them: who has given a command is told at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, TypedDict

from infra.errors import RunError
from infra.services.slots import WORKER_VARIABLE

PAUSES: Final = (10.0, 40.0, 160.0)
"""Seconds before each further attempt."""


def may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """True if a failed task is to be tried again; a condition for Prefect's tasks."""
    return WORKER_VARIABLE in os.environ and is_temporary(state.data)


def is_temporary(error: object) -> bool:
    """True for what a library reports of a disk, a network or a server, not for what is wrong with a request."""
    return isinstance(error, OSError) or (isinstance(error, RunError) and error.__cause__ is not None)


class Retries(TypedDict):
    """Options of Prefect's `task`."""

    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Callable[[Any, Any, Any], bool]


RETRIES: Final[Retries] = {
    "retries": len(PAUSES),
    "retry_delay_seconds": [*PAUSES],
    "retry_condition_fn": may_pass,
}
"""Those of a task that is tried again, behind PAUSES, where its failure may pass."""
