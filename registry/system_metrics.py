"""The machine's load during a run: MLflow's own monitor, sampled by the caller.

MLflow would sample in a thread of its own, which ends at the first write that its database refuses. Here a refused
write is an error like any other, and its samples are written with the next ones.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import psutil
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from registry.errors import registry_errors
from registry.store import Registry


class SystemMetrics:
    """Metrics of processor, memory, disk, network and, where MLflow can read them, GPUs, under `system/` of a run."""

    def __init__(self, registry: Registry, run_id: str) -> None:
        # A sensor that fails is a gap in a chart, not worth a message.
        logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
        psutil.cpu_percent()  # measures since the previous call: the first one returns 0
        self._monitor: Any = None
        untyped: Any = SystemMetricsMonitor
        with contextlib.suppress(Exception):  # one of its sensors is missing on this machine
            self._monitor = untyped(run_id, resume_logging=True, tracking_uri=registry.uri)

    def sample(self) -> None:
        """Log one sample; nothing on a machine without sensors. Raises RegistryError when MLflow refuses it."""
        if self._monitor is None:
            return
        try:
            self._monitor.collect_metrics()
            metrics = self._monitor.aggregate_metrics()
        except Exception:  # psutil or the GPU driver lack a sensor on this machine
            self._monitor = None
            return
        with registry_errors():
            self._monitor.publish_metrics(metrics)
            self._monitor.mlflow_logger.flush()  # otherwise it would buffer
