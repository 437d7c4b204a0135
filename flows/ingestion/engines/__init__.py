"""Engines: where the jobs of ingestion run. Neither the engine nor the number of workers shows in the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from flows.ingestion.engines.workers import Heartbeat, JobType, Result
from flows.ingestion.parsing.parse import ParseLimits
from infra.errors import UserError


class EngineName(StrEnum):
    """The engines that `--engine` takes."""

    LOCAL = "local"
    RAY = "ray"
    DASK = "dask"


PACKAGES = {EngineName.RAY: ("ray",), EngineName.DASK: ("distributed", "dask")}
"""What must be installed for an engine."""


class Engine(Protocol):
    """Runs one function over jobs; each job in a process that it may bring down (see `workers`)."""

    def run(
        self, function: Callable[[JobType, Heartbeat], Result], jobs: Sequence[JobType]
    ) -> Iterator[tuple[int, Result]]:
        """(index, result) of every job, in the order in which they end. Raises JobError."""
        ...


def open_engine(
    name: EngineName, workers: int, limits: ParseLimits, address: str | None
) -> AbstractContextManager[Engine]:
    """The engine of that name, to be used in a `with` block; `address` of a running Ray or Dask cluster.

    Raises UserError when the engine's package is not installed or the cluster does not answer.
    """
    try:
        match name:
            case EngineName.LOCAL:
                from flows.ingestion.engines.local import local_engine

                return local_engine(workers, limits)
            case EngineName.RAY:
                from flows.ingestion.engines.ray import ray_engine

                return ray_engine(workers, limits, address)
            case EngineName.DASK:
                from flows.ingestion.engines.dask import dask_engine

                return dask_engine(workers, limits, address)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES.get(name, ()):
            raise
        raise UserError(f"the engine {name} needs its package: pip install 'musenet[{name}]'") from error
