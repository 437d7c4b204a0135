"""The local engine: worker processes on this machine."""

from __future__ import annotations

from flows.ingestion.engines.preparation import prepare
from flows.ingestion.engines.workers import Pool
from flows.ingestion.parsing.parse import ParseLimits


def local_engine(workers: int, limits: ParseLimits) -> Pool:
    """A pool of worker processes."""
    return Pool(workers, limits.seconds_per_file, limits.worker_bytes, prepare)
