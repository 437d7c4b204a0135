"""System metrics: MLflow's monitor, sampled by hand, and never in the way."""

from __future__ import annotations

import uuid

import psutil
import pytest

from registry.runs import begin_run
from registry.store import Registry
from registry.system_metrics import SystemMetrics


@pytest.fixture
def run_id(registry: Registry) -> str:
    return begin_run(registry, uuid.uuid4().hex[:12], "tiny", {})


def test_a_sample_is_logged_at_once(registry: Registry, run_id: str) -> None:
    SystemMetrics(registry, run_id).sample()
    metrics = registry.client.get_run(run_id).data.metrics
    assert 0 <= metrics["system/cpu_utilization_percentage"] <= 100
    assert metrics["system/system_memory_usage_megabytes"] > 0


def test_samples_of_a_resumed_run_come_behind_the_earlier_ones(registry: Registry, run_id: str) -> None:
    for _ in range(2):
        system = SystemMetrics(registry, run_id)
        system.sample()
        system.sample()
    history = registry.client.get_metric_history(run_id, "system/disk_usage_percentage")
    assert [metric.step for metric in history] == [0, 1, 2, 3]


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_machine_without_a_sensor_has_no_such_metrics(
    registry: Registry, run_id: str, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    if when == "before":
        monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    system = SystemMetrics(registry, run_id)
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    system.sample()
    system.sample()
    assert registry.client.get_run(run_id).data.metrics == {}
