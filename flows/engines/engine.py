"""The interface of an engine, and the choice of one by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from flows.engines.heartbeat import Heartbeat
from flows.engines.jobs import JobType, Result
from flows.engines.pool import Pool
from flows.engines.worker import WorkerSettings
from infra.errors import UserError


class EngineName(StrEnum):
    """Engines that `--engine` accepts."""

    LOCAL = "local"
    RAY = "ray"
    DASK = "dask"


PACKAGES = {EngineName.RAY: ("ray",), EngineName.DASK: ("distributed", "dask")}
"""Packages that an engine needs beyond those of musenet."""


class Engine(Protocol):
    """Runs a function over jobs, each in a process that a bad item may bring down."""

    def run(
        self, function: Callable[[JobType, Heartbeat], Result], jobs: Sequence[JobType]
    ) -> Iterator[tuple[int, Result]]:
        """Yield (index, result) of every job in order of completion. Raises JobError."""
        ...


def open_engine(
    name: EngineName, workers: int, settings: WorkerSettings, address: str | None
) -> AbstractContextManager[Engine]:
    """Return the engine of that name, for use in a `with` block.

    `workers` counts the processes of an engine started for the run; `address` names a running Ray or Dask cluster to
    use instead. Raises UserError when the engine's package is missing or the cluster does not answer.
    """
    try:
        match name:
            case EngineName.LOCAL:
                return Pool(workers, settings)
            case EngineName.RAY:
                from flows.engines.ray import ray_engine

                return ray_engine(workers, settings, address)
            case EngineName.DASK:
                from flows.engines.dask import dask_engine

                return dask_engine(workers, settings, address)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES.get(name, ()):
            raise
        raise UserError(f"the engine {name} needs its package: pip install 'musenet[{name}]'") from error
