"""The tracker: MLflow shows every step once, whatever becomes of runs and databases, and training never waits."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from flows.training.runs import Run, prepare_run
from flows.training.tracker import Place, Tracker, catch_up, mlflow_run, unsent
from infra.lake import Lake
from modeling.config import load_preset
from registry.runs import Measured, Registry, find_run
from tokenization.dataset.version import DatasetVersion

START = {"event": "start", "time": 0.0, "step": 0, "parameters": 5}


def step(number: int, loss: float = 8.0, time: float = 0.0) -> dict[str, Any]:
    return {"event": "step", "time": time, "step": number, "loss": loss, "mfu": 0.5, "gradient_norm": None}


def evaluation(number: int) -> dict[str, Any]:
    losses = {"nats_per_token": 2.0, "nats_per_note": 5.0, "tokens": 99, "by_style": {"bach": 1.5}}
    return {"event": "evaluation", "time": 0.0, "step": number, "best": True, **losses}


def lines(*reports: dict[str, Any]) -> str:
    return "".join(json.dumps(report) + "\n" for report in reports)


class TestWhatIsSent:
    def test_every_number_that_a_step_or_an_evaluation_measures(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_text(lines(START, step(1, time=7.5), evaluation(1), {"event": "checkpoint", "step": 1}))
        rows, place = unsent(metrics, Place())
        assert rows == [
            Measured(1, 7.5, {"loss": 8.0, "mfu": 0.5}),
            Measured(
                1,
                0.0,
                {
                    "validation_nats_per_token": 2.0,
                    "validation_nats_per_note": 5.0,
                    "validation_nats_per_token/bach": 1.5,
                },
            ),
        ]
        assert place == Place(metrics.stat().st_size, step=1, evaluation=1)

    def test_what_is_new_and_whole(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        assert unsent(metrics, Place()) == ([], Place())
        metrics.write_text(lines(step(1)) + '{"event": "step", "ti')
        _, place = unsent(metrics, Place())
        assert unsent(metrics, place) == ([], place)
        metrics.write_text(lines(step(1), step(2)))
        rows, _ = unsent(metrics, place)
        assert [row.step for row in rows] == [2]

    def test_steps_that_a_resumed_run_repeats_are_left_out(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_text(lines(step(1), step(2), step(3), START, step(2, 7.0), step(3, 7.0), step(4, 7.0)))
        rows, _ = unsent(metrics, Place())
        assert [(row.step, row.values["loss"]) for row in rows] == [(1, 8.0), (2, 8.0), (3, 8.0), (4, 7.0)]

    def test_what_is_no_number_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_text(lines(step(1, float("nan"))))
        (row,), _ = unsent(tmp_path / "metrics.jsonl", Place())
        assert row.values == {"mfu": 0.5}

    def test_a_file_that_was_begun_again_is_read_again(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_text(lines(step(1), step(2)))
        _, place = unsent(metrics, Place())
        metrics.write_text(lines(step(1)))
        rows, place = unsent(metrics, place)
        assert rows == []
        assert place == Place(metrics.stat().st_size, step=2)


@pytest.fixture
def dataset(studio) -> DatasetVersion:
    return studio[1]


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database as it is made, which takes seconds."""
    folder = tmp_path_factory.mktemp("registry")
    Registry.open(folder / "mlflow.db", folder / "artifacts")
    return folder / "mlflow.db"


@pytest.fixture
def lake(tmp_path: Path, empty_registry: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.registry_database.parent.mkdir(parents=True)
    shutil.copy(empty_registry, lake.registry_database)
    return lake


@pytest.fixture
def run(lake: Lake, dataset: DatasetVersion) -> Run:
    run = prepare_run(lake, dataset, load_preset("tiny"), ranks=1)
    run.metrics.write_text(lines(START, step(1), step(2), evaluation(2)))
    return run


def steps_in_mlflow(lake: Lake, run: Run) -> list[int]:
    registry = Registry.open(lake.registry_database, lake.registry_artifacts)
    run_id = find_run(registry, run.run_id)
    assert run_id is not None
    return [metric.step for metric in registry.client.get_metric_history(run_id, "loss")]


def status(lake: Lake, run: Run, dataset: DatasetVersion) -> str:
    registry, run_id = mlflow_run(lake, run, dataset)
    return str(registry.client.get_run(run_id).info.status)


class TestInMlflow:
    def test_a_run_is_there_with_all_that_is_known_of_it(self, lake: Lake, run: Run, dataset: DatasetVersion) -> None:
        with Tracker(lake, run, dataset):
            pass
        registry, run_id = mlflow_run(lake, run, dataset)
        found = registry.client.get_run(run_id)
        assert found.info.status == "FINISHED"
        assert found.data.params["training.batch_size"] == str(run.config.training.batch_size)
        assert found.data.metrics["validation_nats_per_note"] == 5.0
        assert "system/cpu_utilization_percentage" in found.data.metrics
        assert [each.dataset.digest for each in found.inputs.dataset_inputs] == [dataset.digest]

    def test_a_resumed_run_goes_on_where_it_was(self, lake: Lake, run: Run, dataset: DatasetVersion) -> None:
        with pytest.raises(RuntimeError), Tracker(lake, run, dataset):
            raise RuntimeError
        assert status(lake, run, dataset) == "FAILED"
        with run.metrics.open("a") as file:
            file.write(lines(START, step(2), step(3)))
        with pytest.raises(KeyboardInterrupt), Tracker(lake, run, dataset):
            raise KeyboardInterrupt
        assert status(lake, run, dataset) == "KILLED"
        assert steps_in_mlflow(lake, run) == [1, 2, 3]


class TestABrokenMlflow:
    def test_is_said_once_and_ends_nothing(
        self, lake: Lake, run: Run, dataset: DatasetVersion, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lake.registry_database.write_bytes(b"no database" * 1000)
        with Tracker(lake, run, dataset):
            pass
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("! MLflow: the registry in ")
        assert line.endswith("; training does not wait for it, what is missing there follows")

    def test_that_was_lost_is_filled_anew(
        self, lake: Lake, run: Run, dataset: DatasetVersion, tmp_path: Path, empty_registry: Path
    ) -> None:
        with Tracker(lake, run, dataset):
            pass
        without = Lake(tmp_path / "without")
        without.registry_database.parent.mkdir(parents=True)
        shutil.copy(empty_registry, without.registry_database)
        catch_up(without, run, dataset)
        assert steps_in_mlflow(without, run) == [1, 2]
        assert status(without, run, dataset) == "FINISHED"

    def test_that_is_locked_gets_later_what_it_missed(
        self,
        lake: Lake,
        run: Run,
        dataset: DatasetVersion,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("flows.training.tracker.LAST_SECONDS", 1.0)
        mlflow_run(lake, run, dataset)
        lock = sqlite3.connect(lake.registry_database)
        lock.execute("begin exclusive")
        with Tracker(lake, run, dataset):
            begun = time.monotonic()
        assert time.monotonic() - begun < 10
        lock.rollback()
        assert "MLflow: " in capsys.readouterr().err
        catch_up(lake, run, dataset)
        assert steps_in_mlflow(lake, run) == [1, 2]
