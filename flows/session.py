"""The surroundings of flows in this process: quiet libraries that keep to the lake, and a Prefect API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flows.recovery.dead_runs import report_dead
from infra.lake import Lake
from infra.services import library_settings, prefect_server


@contextmanager
def flow_session(lake: Lake, *modules: str) -> Iterator[None]:
    """Provide what flows need for a block, in which they are imported; the environment is as before when it ends.

    `modules` are those of the flows, to be imported while a server starts.
    Runs of killed processes are closed first. Raises ServiceError where no Prefect API can be reached or started.
    """
    with library_settings(lake), prefect_server(lake, modules) as api:
        report_dead(lake, api)
        yield
