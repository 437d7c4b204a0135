"""Engines run the jobs of flows: on this machine, on a Ray cluster, or on a Dask cluster.

The result depends neither on the engine nor on the number of workers. `open_engine` opens one by name. `jobs` defines
a job, `pool` the worker processes in which a crash or timeout costs one item, `isolation` and `submission` what
clusters need beyond that.
"""

from flows.engines.engine import Engine, EngineName, open_engine
from flows.engines.heartbeat import NO_ITEM, Heartbeat
from flows.engines.jobs import Failure, Job, JobError, LazySequence
from flows.engines.pool import Pool
from flows.engines.worker import WorkerSettings

__all__ = [
    "NO_ITEM",
    "Engine",
    "EngineName",
    "Failure",
    "Heartbeat",
    "Job",
    "JobError",
    "LazySequence",
    "Pool",
    "WorkerSettings",
    "open_engine",
]
