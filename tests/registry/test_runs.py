"""Runs: one training run is one MLflow run, however often it is resumed."""

from __future__ import annotations

import uuid

import pytest

from registry.lineage import DatasetReference
from registry.runs import (
    MetricRow,
    begin_run,
    close_dead_runs,
    end_run,
    find_run,
    log_metrics,
    open_run,
    reopen_run,
    tag_of,
)
from registry.store import Registry


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex[:12]


class TestARun:
    def test_has_its_key_name_and_parameters(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny-1", {"preset": "tiny", "model": {"layers": 6, "dropout": 0.0}})
        run = registry.client.get_run(run_id)
        assert run.info.run_name == "tiny-1"
        assert run.data.params == {"preset": "tiny", "model.layers": "6", "model.dropout": "0.0"}
        assert find_run(registry, key) == run_id

    def test_nested_parameters_get_dotted_names(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny-1", {"a": {"b": 1, "c": {"d": None}}, "e": [2]})
        assert registry.client.get_run(run_id).data.params == {"a.b": "1", "a.c.d": "None", "e": "[2]"}

    def test_is_taken_up_again_by_its_key(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny-1", {"steps": 5})
        end_run(registry, run_id, "FAILED")
        assert registry.client.get_run(run_id).info.status == "FAILED"
        assert find_run(registry, key) == run_id
        reopen_run(registry, run_id)
        assert registry.client.get_run(run_id).info.status == "RUNNING"
        end_run(registry, run_id, "FINISHED")
        assert registry.client.get_run(run_id).info.status == "FINISHED"

    def test_is_closed_when_nobody_works_on_it_any_more(self, registry: Registry, key: str) -> None:
        dead, alive, done = (begin_run(registry, f"{key}-{name}", name, {}) for name in ("dead", "alive", "done"))
        end_run(registry, done, "FINISHED")
        assert close_dead_runs(registry, lambda run: run in (f"{key}-dead", f"{key}-done")) == 1
        status = [registry.client.get_run(run).info.status for run in (dead, alive, done)]
        assert status == ["KILLED", "RUNNING", "FINISHED"]
        end_run(registry, alive, "FINISHED")

    def test_another_key_has_none(self, registry: Registry, key: str) -> None:
        assert find_run(registry, key) is None

    def test_metrics_by_step(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(
            registry, run_id, [MetricRow(1, 10.0, {"loss": 8.0, "rate": 0.1}), MetricRow(2, 11.0, {"loss": 7.5})]
        )
        history = registry.client.get_metric_history(run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(1, 8.0), (2, 7.5)]
        assert registry.client.get_run(run_id).data.metrics == {"loss": 7.5, "rate": 0.1}

    def test_more_metrics_than_mlflow_takes_at_once(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [MetricRow(step, 0.0, {"loss": float(step)}) for step in range(1200)])
        assert len(registry.client.get_metric_history(run_id, "loss")) == 1200

    def test_metrics_have_the_time_of_the_measurement(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [MetricRow(1, 1234.567, {"loss": 8.0})])
        assert registry.client.get_metric_history(run_id, "loss")[0].timestamp == 1234567

    def test_the_same_metric_sent_twice_is_one_point(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        rows = [MetricRow(step, 10.0 + step, {"loss": 8.0}) for step in range(3)]
        log_metrics(registry, run_id, rows[:2])
        log_metrics(registry, run_id, rows)
        assert [metric.step for metric in registry.client.get_metric_history(run_id, "loss")] == [0, 1, 2]

    def test_a_name_that_mlflow_would_refuse(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [MetricRow(1, 0.0, {"validation/rock & roll (1950)": 2.0, "dvořák": 1.0})])
        assert registry.client.get_run(run_id).data.metrics == {"validation/rock _ roll _1950_": 2.0, "dvořák": 1.0}

    def test_tags_are_set_with_the_metrics_that_they_are_about(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        assert tag_of(registry, run_id, "sent") is None
        log_metrics(registry, run_id, [], {"sent": "2"})
        assert tag_of(registry, run_id, "sent") == "2"

    def test_no_metrics_are_no_work(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [])
        assert registry.client.get_run(run_id).data.metrics == {}

    def test_is_opened_with_its_dataset_and_found_when_opened_again(
        self, registry: Registry, key: str, dataset: DatasetReference
    ) -> None:
        run_id = open_run(registry, key, "tiny-1", {"steps": 5}, dataset)
        assert open_run(registry, key, "tiny-1", {"steps": 5}, dataset) == find_run(registry, key) == run_id
        (logged,) = registry.client.get_run(run_id).inputs.dataset_inputs
        assert logged.dataset.digest == dataset.digest
