"""The uploader: MLflow shows every step once, whatever becomes of runs and databases, and training never waits."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import LoggedModel

from infra.lake import Lake
from modeling.training.events import CheckpointSaved, Evaluated, Event, RunStarted, StepTrained, encode
from registry.lineage import DatasetReference
from registry.runs import MetricRow, find_run
from registry.store import Registry
from registry.uploader import TrackedRun, Uploader, UploadProgress, next_rows, upload_remaining
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

START = RunStarted(
    step=0, steps=9, parameters=5, precision="fp32", device="cpu", ranks=1, train_pieces=8, train_tokens=800
)
OTHERS = {"learning_rate": 0.1, "tokens_per_second": 9.0, "mfu": 0.5, "memory_gb": 1.0}
"""The metrics of each step beside the loss."""
TORN = b'{"event": "step", "ti'


def step(number: int, loss: float = 8.0, time: float = 0.0) -> StepTrained:
    return StepTrained(time=time, step=number, loss=loss, gradient_norm=None, **OTHERS)


def evaluation(number: int) -> Evaluated:
    by_style = {"bach": 1.5}
    return Evaluated(
        time=0.0, step=number, best=True, nats_per_token=2.0, nats_per_note=5.0, tokens=99, by_style=by_style
    )


def lines(*events: Event) -> bytes:
    return b"".join(map(encode, events))


class TestTheRows:
    def test_every_number_that_a_step_or_an_evaluation_measures(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_bytes(lines(START, step(1, time=7.5), evaluation(1), CheckpointSaved(step=1, gigabytes=1.0)))
        rows, progress = next_rows(metrics, UploadProgress())
        assert rows == [
            MetricRow(1, 7.5, {"loss": 8.0, **OTHERS}),
            MetricRow(
                1,
                0.0,
                {
                    "validation_nats_per_token": 2.0,
                    "validation_nats_per_note": 5.0,
                    "validation_nats_per_token/bach": 1.5,
                },
            ),
        ]
        assert progress == UploadProgress(metrics.stat().st_size, step=1, evaluation=1)

    def test_what_is_new_and_whole(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        assert next_rows(metrics, UploadProgress()) == ([], UploadProgress())
        metrics.write_bytes(lines(step(1)) + TORN)
        _, progress = next_rows(metrics, UploadProgress())
        assert next_rows(metrics, progress) == ([], progress)
        metrics.write_bytes(lines(step(1), step(2)))
        rows, _ = next_rows(metrics, progress)
        assert [row.step for row in rows] == [2]

    def test_steps_that_a_resumed_run_repeats_are_left_out(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_bytes(lines(step(1), step(2), step(3), START, step(2, 7.0), step(3, 7.0), step(4, 7.0)))
        rows, _ = next_rows(metrics, UploadProgress())
        assert [(row.step, row.values["loss"]) for row in rows] == [(1, 8.0), (2, 8.0), (3, 8.0), (4, 7.0)]

    def test_what_is_no_number_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_bytes(lines(step(1, float("nan"))))
        (row,), _ = next_rows(tmp_path / "metrics.jsonl", UploadProgress())
        assert row.values == OTHERS

    def test_a_file_that_was_begun_again_is_read_again(self, tmp_path: Path) -> None:
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_bytes(lines(step(1), step(2)))
        _, progress = next_rows(metrics, UploadProgress())
        metrics.write_bytes(lines(step(1)))
        rows, progress = next_rows(metrics, progress)
        assert rows == []
        assert progress == UploadProgress(metrics.stat().st_size, step=2)


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory: pytest.TempPathFactory, make_registry: Callable[[Lake], Registry]) -> Path:
    """An MLflow database as it is created."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    make_registry(lake)
    return lake.registry_database


class Home:
    """A database, a run, and the warnings about it."""

    def __init__(self, folder: Path, empty_registry: Path, dataset: DatasetReference) -> None:
        self.lake = Lake(folder)
        self.database = self.lake.registry_database
        self.database.parent.mkdir(parents=True)
        shutil.copy(empty_registry, self.database)
        metrics = folder / "metrics.jsonl"
        metrics.write_bytes(lines(START, step(1), step(2), evaluation(2)))
        parameters = {"preset": "tiny", "training": {"batch_size": 8}}
        (folder / "train.log").write_text("step 1")
        files = (folder / "train.log", folder / "run.json")
        self.run = TrackedRun("0123456789ab", "tiny-0123456789ab", parameters, dataset, metrics, files)
        self.warnings: list[str] = []

    def uploader(self) -> Uploader:
        return Uploader(self.lake, self.run, self.warnings.append)

    def upload_remaining(self) -> None:
        upload_remaining(self.lake, self.run, self.warnings.append)

    @property
    def registry(self) -> Registry:
        return Registry.open(self.lake)

    @property
    def run_id(self) -> str:
        run_id = find_run(self.registry, self.run.key)
        assert run_id is not None
        return run_id

    @property
    def status(self) -> str:
        return str(self.registry.client.get_run(self.run_id).info.status)

    @property
    def steps(self) -> list[int]:
        return [metric.step for metric in self.registry.client.get_metric_history(self.run_id, "loss")]


def wait_for_uploader() -> None:
    """Wait for the thread of an uploader that was given up; a command's ends with its process."""
    for thread in threading.enumerate():
        if thread.name == "mlflow-uploader":
            thread.join(60)


@pytest.fixture
def home(tmp_path: Path, empty_registry: Path, dataset: DatasetReference) -> Home:
    return Home(tmp_path / "home", empty_registry, dataset)


class TestInMlflow:
    def test_a_run_is_there_with_all_that_is_known_of_it(self, home: Home) -> None:
        with home.uploader():
            pass
        found = home.registry.client.get_run(home.run_id)
        assert found.info.status == "FINISHED"
        assert found.info.run_name == "tiny-0123456789ab"
        assert found.data.params["training.batch_size"] == "8"
        assert found.data.metrics["validation_nats_per_note"] == 5.0
        assert "system/cpu_utilization_percentage" in found.data.metrics
        assert [each.dataset.digest for each in found.inputs.dataset_inputs] == [home.run.dataset.digest]
        kept = home.registry.client.list_artifacts(home.run_id)
        assert [file.path for file in kept] == ["metrics.jsonl", "plots", "train.log"]
        assert home.warnings == []

    def test_samples_are_kept_by_evaluation_and_can_be_heard(
        self, home: Home, soundfont: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MUSENET_SOUNDFONT", str(soundfont))
        scale = write_midi(Notes.from_columns([0.0, 0.5], [0.5, 0.5], [69, 71], [100, 100], [0, 0], [False, False]))

        def add(step: int) -> None:
            folder = home.run.metrics.parent / "samples" / f"step{step:08}"
            folder.mkdir(parents=True)
            (folder / "bach-1.mid").write_bytes(scale)

        add(2)
        home.upload_remaining()
        add(4)
        with home.uploader():
            pass
        client = home.registry.client
        folders = [file.path for file in client.list_artifacts(home.run_id, "samples")]
        assert folders == ["samples/step00000002", "samples/step00000004"]
        kept = [file.path.removeprefix(folders[0]) for file in client.list_artifacts(home.run_id, folders[0])]
        assert kept == ["/bach-1.mid", "/bach-1.mp3"]

    def test_each_checkpoint_that_is_kept_is_a_logged_model_with_its_figures(self, home: Home) -> None:
        def checkpoints(*steps: int) -> None:
            folder = home.run.metrics.parent / "checkpoints"
            shutil.rmtree(folder, ignore_errors=True)
            for number in steps:
                (folder / f"step{number:08}").mkdir(parents=True)

        def logged() -> list[LoggedModel]:
            found = home.registry.client.search_logged_models([home.registry.experiment_id])
            return sorted(found, key=lambda model: int(model.tags["step"]))

        checkpoints(1, 2)
        with pytest.raises(RuntimeError), home.uploader():
            raise RuntimeError
        assert [model.name for model in logged()] == ["tiny-0123456789ab-step1", "tiny-0123456789ab-step2"]
        checkpoints(2, 3)
        with home.run.metrics.open("ab") as file:
            file.write(lines(START, step(3)))
        with home.uploader():
            pass
        second, third = logged()
        assert (second.status, second.source_run_id) == ("READY", home.run_id)
        assert {(m.key, m.value, m.step, m.dataset_digest) for m in second.metrics or ()} >= {
            ("loss", 8.0, 2, home.run.dataset.digest),
            ("validation_nats_per_token/bach", 1.5, 2, home.run.dataset.digest),
        }
        assert second.params["training.batch_size"] == "8"
        assert second.tags["folder"].endswith("checkpoints/step00000002")
        run = home.registry.client.get_run(home.run_id)
        assert {output.model_id for output in run.outputs.model_outputs} >= {second.model_id, third.model_id}
        assert home.steps == [1, 2, 3], "the points of the run are there once"

    def test_a_resumed_run_goes_on_where_it_was(self, home: Home) -> None:
        with pytest.raises(RuntimeError), home.uploader():
            raise RuntimeError
        assert home.status == "FAILED"
        with home.run.metrics.open("ab") as file:
            file.write(lines(START, step(2), step(3)))
        with pytest.raises(KeyboardInterrupt), home.uploader():
            raise KeyboardInterrupt
        assert home.status == "KILLED"
        assert home.steps == [1, 2, 3]


class TestABrokenMlflow:
    def test_is_reported_once_and_ends_nothing(self, home: Home) -> None:
        home.database.write_bytes(b"no database" * 1000)
        with home.uploader():
            pass
        (warning,) = home.warnings
        assert warning.startswith("MLflow: the registry in ")
        assert warning.endswith("; training goes on, missing metrics are uploaded later")
        assert "\n" not in warning

    def test_that_was_lost_is_filled_anew(self, home: Home, empty_registry: Path) -> None:
        with home.uploader():
            pass
        shutil.copy(empty_registry, home.database)
        home.upload_remaining()
        assert home.steps == [1, 2]
        assert home.status == "FINISHED"

    def test_that_is_locked_gets_later_what_it_missed(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        with home.uploader():
            pass
        monkeypatch.setattr("registry.uploader.LAST_SECONDS", 1.0)
        with home.run.metrics.open("ab") as file:
            file.write(lines(step(3)))
        lock = sqlite3.connect(home.database)
        lock.execute("begin exclusive")
        with home.uploader():
            begun = time.monotonic()
        assert time.monotonic() - begun < 10
        assert len(home.warnings) == 1 and home.warnings[0].startswith("MLflow: ")
        lock.rollback()
        wait_for_uploader()
        home.upload_remaining()
        assert home.steps == [1, 2, 3]

    def test_is_reported_for_a_finished_run_too(self, home: Home) -> None:
        home.database.write_bytes(b"no database" * 1000)
        home.upload_remaining()
        assert len(home.warnings) == 1
