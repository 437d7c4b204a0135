"""The trainer in this process, on one rank: what its settings do, and that a run goes on as if nothing had happened.

Ranks and launches are in `test_train.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from modeling.config import Leaks, ParentModel, RunConfig, SplitLeaks
from modeling.network.weights import MODEL_WEIGHTS
from modeling.training.best_weights import read_metrics
from modeling.training.run_folder import RunFolder
from modeling.training.stopping import StopRequest, ask_to_stop
from modeling.training.trainer import Trainer, TrainingError
from tokenization.midi import read_midi

MODEL = {
    "layers": 2,
    "heads": 2,
    "d_model": 32,
    "context": 64,
    "sparsity": {"mode": "strided", "block": 16, "stride": 8},
}
TRAINING = {
    "steps": 4,
    "batch_size": 4,
    "micro_batch_size": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 1,
    "precision": "fp32",
    "evaluate_every": 2,
    "checkpoint_every": 2,
}

EVERYTHING = {
    "precision": "bf16",
    "schedule": "wsd",
    "pack": True,
    "mixup": {"rate": 0.5},
    "augmentation": {"transpose": 3, "velocity": 8, "stretch": 0.05},
    "style_dropout": 0.5,
    "instrument_dropout": 0.5,
}
"""All that is drawn at random."""


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rank")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_version: Callable[[Path], Path]) -> Path:
    return make_version(tmp_path_factory.mktemp("dataset") / "version")


@dataclass(frozen=True)
class Trained:
    """A run's folder after training."""

    folder: Path

    def of(self, event: str) -> list[dict[str, Any]]:
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return [report for report in map(json.loads, lines) if report["event"] == event]

    @property
    def losses(self) -> list[float]:
        return [report["loss"] for report in self.of("step")]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "model" / MODEL_WEIGHTS)

    @property
    def checkpoints(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "checkpoints").iterdir() if path.is_dir())


def train(
    folder: Path,
    dataset: Path,
    model: dict[str, Any] | None = None,
    parent: ParentModel | None = None,
    **training: Any,
) -> Trained:
    content = {"model": {**MODEL, **(model or {})}, "training": {**TRAINING, **training}, "parent": parent}
    folder.mkdir(exist_ok=True)
    run = RunConfig.model_validate({"dataset": dataset, "folder": folder, **content})
    Trainer(run, 0, StopRequest(RunFolder(folder).stop)).train()
    return Trained(folder)


@pytest.fixture(scope="module")
def twice(dataset: Path, tmp_path_factory: pytest.TempPathFactory, one_rank: None) -> tuple[Trained, Trained]:
    """A run, and the same one killed after its first checkpoint and resumed, which also shows what it does."""
    folder = tmp_path_factory.mktemp("twice")
    whole = train(folder / "whole", dataset, {"dropout": 0.2}, **EVERYTHING)
    shutil.copytree(whole.folder, folder / "died")
    shutil.rmtree(folder / "died" / "model")
    shutil.rmtree(folder / "died" / "checkpoints" / "step00000004")
    return whole, train(folder / "died", dataset, {"dropout": 0.2}, **EVERYTHING, samples=3, tensorboard=True)


class TestResumption:
    def test_the_weights_are_those_of_the_uninterrupted_run(self, twice: tuple[Trained, Trained]) -> None:
        whole, resumed = twice
        assert [report["step"] for report in resumed.of("start")] == [0, 2]
        assert resumed.losses == [*whole.losses, *whole.losses[2:]]
        assert all(torch.equal(resumed.weights[name], weight) for name, weight in whole.weights.items())

    def test_the_time_of_the_first_attempt_counts(self, twice: tuple[Trained, Trained]) -> None:
        _, resumed = twice
        manifest = json.loads((resumed.folder / "checkpoints" / "step00000002" / "checkpoint.json").read_text())
        assert 0 < manifest["state"]["seconds"] < resumed.of("finished")[-1]["seconds"]

    def test_samples_show_what_each_evaluation_s_weights_compose(self, twice: tuple[Trained, Trained]) -> None:
        whole, resumed = twice
        assert not (whole.folder / "samples").exists()
        (folder,) = (resumed.folder / "samples").iterdir()
        assert folder.name == "step00000004"
        # Of the validation pieces one is bach's, one jazz's and two have no style.
        assert sorted(file.name for file in folder.glob("*.mid")) == ["bach-2.mid", "jazz-3.mid", "no-style-1.mid"]
        assert len(read_midi((folder / "bach-2.mid").read_bytes())) > 0
        assert ElementTree.parse(folder / "bach-2.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"

    def test_tensorboard_has_the_metrics_of_each_step(self, twice: tuple[Trained, Trained]) -> None:
        _, resumed = twice
        board = EventAccumulator(str(resumed.folder / "tensorboard"))
        board.Reload()
        assert [(each.step, each.value) for each in board.Scalars("loss")] == [
            (3, pytest.approx(resumed.losses[-2])),
            (4, pytest.approx(resumed.losses[-1])),
        ]
        assert [each.step for each in board.Scalars("validation_nats_per_token/bach")] == [4]

    def test_a_run_that_is_asked_to_stop_saves_its_step_and_goes_on_from_it(
        self, dataset: Path, tmp_path: Path
    ) -> None:
        whole = train(tmp_path / "whole", dataset)
        folder = RunFolder(tmp_path / "asked")
        folder.path.mkdir()
        ask_to_stop(folder.stop)
        asked = train(folder.path, dataset)
        assert (asked.checkpoints, folder.has_model) == (["step00000001"], False)
        assert [report["step"] for report in asked.of("interrupted")] == [1]
        folder.stop.unlink()
        resumed = train(folder.path, dataset)
        assert [report["step"] for report in resumed.of("start")] == [0, 1]
        assert all(torch.equal(resumed.weights[name], weight) for name, weight in whole.weights.items())

    def test_a_damaged_checkpoint_is_passed_over_and_said_so(self, dataset: Path, tmp_path: Path) -> None:
        whole = train(tmp_path / "whole", dataset)
        shutil.copytree(whole.folder, tmp_path / "damaged")
        shutil.rmtree(tmp_path / "damaged" / "model")
        newest = tmp_path / "damaged" / "checkpoints" / "step00000004"
        largest = max(newest.iterdir(), key=lambda file: file.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:-100])
        resumed = train(tmp_path / "damaged", dataset)
        (warning,) = resumed.of("warning")
        assert "step00000004" in warning["message"] and largest.name in warning["message"]
        assert [report["step"] for report in resumed.of("start")] == [0, 2]
        assert all(torch.equal(resumed.weights[name], weight) for name, weight in whole.weights.items())


@pytest.fixture(scope="module")
def first(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("runs") / "first", dataset)


class TestAParent:
    """A run that begins with another model's weights."""

    @pytest.fixture
    def child(self, first: Trained, dataset: Path, tmp_path: Path) -> Callable[..., Trained]:
        """Trains a run that begins with the model of a first one, to which some validation pieces may be known."""

        def run(name: str, leaked: tuple[str, ...] = (), **training: Any) -> Trained:
            parent = tmp_path / name / "parent"
            parent.mkdir(parents=True)
            for file in (first.folder / "model" / "model.json", first.folder / "model" / MODEL_WEIGHTS):
                shutil.copyfile(file, parent / file.name)
            shutil.copyfile(dataset / "vocabulary.json", parent / "vocabulary.json")
            none = SplitLeaks(pieces=0)
            Leaks(complete=True, validation=SplitLeaks(pieces=4, leaked=leaked), test=none).write(parent)
            return train(tmp_path / name, dataset, parent=ParentModel(weights="ab", name="version 1"), **training)

        return run

    @pytest.mark.parametrize("zero_stage", [1, 3])
    def test_gives_the_weights_that_the_first_step_begins_with(
        self, zero_stage: int, child: Callable[..., Trained], first: Trained
    ) -> None:
        still = {"learning_rate": 1e-30, "weight_decay": 0.0, "steps": 2}
        begun = child("child", zero_stage=zero_stage, **still)
        assert all(torch.equal(begun.weights[name], weight) for name, weight in first.weights.items())

    def test_does_not_change_how_a_run_is_resumed(self, child: Callable[..., Trained], dataset: Path) -> None:
        whole, died = child("whole"), child("died")
        shutil.rmtree(died.folder / "model")
        shutil.rmtree(died.folder / "checkpoints" / "step00000004")
        resumed = train(died.folder, dataset, parent=ParentModel(weights="ab", name="version 1"))
        assert [report["step"] for report in resumed.of("start")] == [0, 2]
        assert all(torch.equal(resumed.weights[name], weight) for name, weight in whole.weights.items())

    def test_has_its_leaks_told_apart_in_every_evaluation(self, child: Callable[..., Trained]) -> None:
        run = child("child", leaked=("piece-8", "piece-9"))
        for report in (*run.of("evaluation"), *run.of("finished")):
            assert report["nats_per_note_all"] is not None
            assert report["nats_per_note_all"] != report["nats_per_note"]
        assert read_metrics(run.folder / "model")[1].nats_per_token_all is not None


class TestTheBatch:
    def test_gives_the_same_however_it_is_divided(self, dataset: Path, tmp_path: Path) -> None:
        whole, parts = (train(tmp_path / str(size), dataset, micro_batch_size=size) for size in (4, 1))
        assert parts.losses == pytest.approx(whole.losses, rel=1e-5)
        for name, weight in whole.weights.items():
            torch.testing.assert_close(parts.weights[name], weight, rtol=1e-2, atol=1e-3)


class TestTheEnd:
    def test_comes_early_where_nothing_gets_better(self, dataset: Path, tmp_path: Path) -> None:
        # Steps of this length change no weight: no evaluation is better than the first.
        still = train(tmp_path / "run", dataset, steps=50, learning_rate=1e-30, weight_decay=0.0, patience=2)
        assert [report["step"] for report in still.of("evaluation")] == [2, 4, 6]
        assert still.of("stopped_early")[0]["best_step"] == 2
        (finished,) = still.of("finished")
        assert (finished["step"], finished["best_step"]) == (6, 2)

    def test_the_model_is_the_best_one(self, dataset: Path, tmp_path: Path) -> None:
        run = train(tmp_path / "run", dataset, steps=6)
        step, metrics = read_metrics(run.folder / "model")
        best = min(run.of("evaluation"), key=lambda report: report["nats_per_token"])
        assert (step, metrics.nats_per_token) == (best["step"], best["nats_per_token"])
        assert not (run.folder / "best").exists()

    def test_comes_with_the_time_limit(self, dataset: Path, tmp_path: Path) -> None:
        run = train(tmp_path / "run", dataset, max_minutes=1e-9)
        assert run.of("out_of_time")[0]["step"] == 1
        assert run.of("finished")[0]["step"] == 1
        assert run.checkpoints == ["step00000001"]

    def test_comes_with_a_loss_that_is_no_number(self, dataset: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match=r"^the (loss|gradient norm) is (nan|inf) at step [234]; .*lower"):
            train(tmp_path / "run", dataset, learning_rate=1e30, gradient_clipping=1e30)
        assert not (tmp_path / "run" / "model").exists()


class TestCheckpoints:
    def test_are_written_on_time_too(self, dataset: Path, tmp_path: Path) -> None:
        run = train(tmp_path / "run", dataset, checkpoint_every=100, checkpoint_minutes=1e-9, keep_checkpoints=3)
        assert [report["step"] for report in run.of("checkpoint")] == [1, 2, 3, 4]
        assert run.checkpoints == ["step00000002", "step00000003", "step00000004"]


class TestSteps:
    def test_report_what_one_compares_runs_by(self, dataset: Path, tmp_path: Path) -> None:
        run = train(tmp_path / "run", dataset, steps=1)
        (step,) = run.of("step")
        assert step["tokens_per_second"] > 0
        assert 0 < step["mfu"] < 1
        assert 0.05 < step["memory_gb"] < 10
