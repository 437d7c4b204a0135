"""Slots: what the flow runs of workers may not all do at once, by Prefect's global concurrency limits.

A run holds a slot by a lease that it renews. Where its process is killed, the lease runs out and the slot is free
again. Flows that a command runs take no slots: the person who gives it sees what else is going on.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from infra.services.rest import PrefectAPI

DEVICES = "musenet.devices"
"""Limit of what trains at a time; its slots are the devices, or groups of devices, that trainings share."""
LEASE_SECONDS = 300.0
"""Time without a renewal after which a slot is free again."""
WORKER_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""Set by workers, for the process of a flow run."""

logger = logging.getLogger("musenet")
"""Its lines are on the flow run's page."""


def ingestion_limit(dataset: str) -> str:
    """Return the name of the limit of ingestions into one dataset."""
    return f"musenet.ingestion.{dataset}"


@contextlib.contextmanager
def slot(limit: str) -> Iterator[None]:
    """Hold a slot of a limit for the block; wait until there is one. A limit that is not there yet has one slot."""
    if WORKER_VARIABLE not in os.environ:
        yield
        return
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.concurrency.sync import concurrency
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit, limit=1))
    logger.info("waiting for a slot of %s", limit)
    # A server that is away as the lease is to be renewed ends no training of days.
    with concurrency(limit, strict=True, lease_duration=LEASE_SECONDS, raise_on_lease_renewal_failure=False):
        logger.info("holds a slot of %s", limit)
        yield


def install_limit(prefect: PrefectAPI, limit: str) -> bool:
    """Create a limit of one slot; False if there is one of that name, whatever its slots. Raises OSError."""
    if prefect.get(f"v2/concurrency_limits/{limit}") is not None:
        return False
    prefect.post("v2/concurrency_limits/", {"name": limit, "limit": 1})
    return True
