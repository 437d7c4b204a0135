"""How busy the machine is while a run goes on: MLflow's own monitor, sampled by whoever follows the run.

MLflow would sample in a thread that ends for good at the first write that its database refuses. Here a refused write
is an error like any other, and what it had to write goes out with the next one.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import psutil
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from registry.store import Registry, registry_errors


class SystemMetrics:
    """Processor, memory, disk, network and, where MLflow can ask them, GPUs, under `system/` of a run."""

    def __init__(self, registry: Registry, run_id: str) -> None:
        # A sensor that does not answer is a gap in a chart, nothing to tell a user.
        logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
        psutil.cpu_percent()  # says how busy it was since the call before: the first one would say 0
        self._monitor: Any = None
        untyped: Any = SystemMetricsMonitor
        with contextlib.suppress(Exception):  # a machine without one of its sensors
            self._monitor = untyped(run_id, resume_logging=True, tracking_uri=registry.uri)

    def sample(self) -> None:
        """Measure once and log it. Raises RegistryError when MLflow does not take it; nothing where no sensor is."""
        if self._monitor is None:
            return
        try:
            self._monitor.collect_metrics()
            metrics = self._monitor.aggregate_metrics()
        except Exception:  # whatever psutil and the GPU's driver lack on this machine
            self._monitor = None
            return
        with registry_errors():
            self._monitor.publish_metrics(metrics)
            self._monitor.mlflow_logger.flush()  # which would else wait until logging is cheap beside what it logs
