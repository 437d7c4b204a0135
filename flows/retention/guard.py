"""The guard: a lock that flows hold together while they use what nothing refers to yet, and a removal alone."""

from __future__ import annotations

from contextlib import AbstractContextManager

from infra.lake import Lake
from infra.locks import exclusive, shared

LOCK = "retention.lock"


def in_use(lake: Lake) -> AbstractContextManager[None]:
    """Keep anything in the lake from being removed for the block; waits while something is."""
    return shared(lake.locks / LOCK)


def alone(lake: Lake) -> AbstractContextManager[None]:
    """Hold the lake for a removal. Raises UserError while a flow uses it."""
    return exclusive(lake.locks / LOCK, f"an ingestion, a critic, a backup or the start of a training uses {lake.root}")
