"""Tracking: a run of ours is one run of MLflow's, however often it is resumed."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from registry.runs import (
    EXPERIMENT,
    Measured,
    Registry,
    RegistryError,
    begin_run,
    end_run,
    find_run,
    log_metrics,
    one_line,
    refusals,
    reopen_run,
    tag_of,
)


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex[:12]


class TestTheStore:
    def test_is_made_where_there_is_none_and_found_again(self, tmp_path: Path) -> None:
        first = Registry.open(tmp_path / "deep" / "mlflow.db", tmp_path / "artifacts")
        again = Registry.open(tmp_path / "deep" / "mlflow.db", tmp_path / "artifacts")
        assert again.experiment_id == first.experiment_id
        experiment = first.client.get_experiment_by_name(EXPERIMENT)
        assert experiment.artifact_location == (tmp_path / "artifacts").as_uri()

    def test_a_file_that_is_no_database_is_an_error_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_text("no database" * 1000)
        with pytest.raises(RegistryError, match=r"the registry in .*mlflow\.db cannot be opened: .+") as error:
            Registry.open(tmp_path / "mlflow.db", tmp_path / "artifacts")
        assert "\n" not in str(error.value)


class TestARun:
    def test_has_its_key_name_and_parameters(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny-1", {"preset": "tiny", "model": {"layers": 6, "dropout": 0.0}})
        run = registry.client.get_run(run_id)
        assert run.info.run_name == "tiny-1"
        assert run.data.params == {"preset": "tiny", "model.layers": "6", "model.dropout": "0.0"}
        assert find_run(registry, key) == run_id

    def test_is_taken_up_again_by_its_key(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny-1", {"steps": 5})
        end_run(registry, run_id, "FAILED")
        assert registry.client.get_run(run_id).info.status == "FAILED"
        assert find_run(registry, key) == run_id
        reopen_run(registry, run_id)
        assert registry.client.get_run(run_id).info.status == "RUNNING"
        end_run(registry, run_id, "FINISHED")
        assert registry.client.get_run(run_id).info.status == "FINISHED"

    def test_another_key_has_none(self, registry: Registry, key: str) -> None:
        assert find_run(registry, key) is None

    def test_metrics_by_step(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [Measured(1, 10.0, {"loss": 8.0, "rate": 0.1}), Measured(2, 11.0, {"loss": 7.5})])
        history = registry.client.get_metric_history(run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(1, 8.0), (2, 7.5)]
        assert registry.client.get_run(run_id).data.metrics == {"loss": 7.5, "rate": 0.1}

    def test_more_metrics_than_mlflow_takes_at_once(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [Measured(step, 0.0, {"loss": float(step)}) for step in range(1200)])
        assert len(registry.client.get_metric_history(run_id, "loss")) == 1200

    def test_metrics_have_the_time_of_the_measurement(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [Measured(1, 1234.567, {"loss": 8.0})])
        assert registry.client.get_metric_history(run_id, "loss")[0].timestamp == 1234567

    def test_the_same_metric_sent_twice_is_one_point(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        rows = [Measured(step, 10.0 + step, {"loss": 8.0}) for step in range(3)]
        log_metrics(registry, run_id, rows[:2])
        log_metrics(registry, run_id, rows)
        assert [metric.step for metric in registry.client.get_metric_history(run_id, "loss")] == [0, 1, 2]

    def test_a_name_that_mlflow_would_refuse(self, registry: Registry, key: str) -> None:
        run_id = begin_run(registry, key, "tiny", {})
        log_metrics(registry, run_id, [Measured(1, 0.0, {"validation/rock & roll (1950)": 2.0, "dvořák": 1.0})])
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


def test_whatever_a_store_refuses_is_one_line(registry: Registry) -> None:
    with pytest.raises(RegistryError) as error, refusals():
        log_metrics(registry, "0" * 32, [Measured(1, 0.0, {"loss": 1.0})])
    assert "\n" not in str(error.value)
    with pytest.raises(RegistryError, match=r"^disk full$"), refusals():
        raise OSError("disk full\nand more")


def test_the_first_line_of_an_error_or_else_its_kind() -> None:
    assert one_line(ValueError("first\nsecond")) == "first"
    assert one_line(ValueError()) == "ValueError"
