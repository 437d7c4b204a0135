"""A job on a machine of a cluster: in a process of its own there, which it may bring down without harm.

The process is kept for the next job of the same engine worker; it ends with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flows.ingestion.engines.preparation import prepare
from flows.ingestion.parsing import ReadingLimits
from flows.ingestion.workers import Beat, Pool

_kept = threading.local()
"""An engine may run two jobs in two threads of one process."""


def run_isolated(function: Callable[[Any, Beat], Any], job: Any, limits: ReadingLimits) -> Any:
    """The result of one job, worked on as in the local engine."""
    pool = getattr(_kept, "pool", None)
    if pool is None or _kept.limits != limits:
        pool = _kept.pool = Pool(1, limits.seconds_per_file, limits.worker_bytes, prepare).__enter__()
        _kept.limits = limits
    ((_, result),) = pool.run(function, [job])
    return result
