"""The training job: its reports, and, by the real launcher, its ranks and its resumption.

Three jobs on the CPU serve all tests that need one: a whole run on one rank, in this process, the same on two, and one
that goes on from its checkpoint in the middle.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from infra.errors import RunError, UserError
from modeling.config import RunConfig, TrainingConfig
from modeling.network.attention import BackendError
from modeling.network.weights import MODEL_WEIGHTS, load_model
from modeling.training.checkpoints import CheckpointError
from modeling.training.deepspeed_config import SettingsError
from modeling.training.optimisers import learning_rate_factor
from modeling.training.train import explain
from modeling.training.trainer import Trainer, TrainingError
from tokenization.dataset.shards import ShardError

pytestmark = pytest.mark.slow

STEPS = 6
LONGEST_RUN = 240.0
"""Seconds; a run takes about 15, and 60 more where DeepSpeed's extension must be compiled."""
REPOSITORY = Path(__file__).parents[3]
MODEL = {
    "layers": 2,
    "heads": 2,
    "d_model": 32,
    "context": 64,
    "dropout": 0.1,
    "sparsity": {"mode": "strided", "block": 16, "stride": 8},
}
TRAINING = {
    "steps": STEPS,
    "batch_size": 4,
    "micro_batch_size": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "precision": "fp32",
    "evaluate_every": 4,
    "checkpoint_every": 3,
}


def run_config(folder: Path, dataset: Path, ranks: int = 1, **training: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "dataset": dataset,
            "folder": folder,
            "model": MODEL,
            "training": {**TRAINING, **training},
            "world_size": ranks,
            "cache": folder / "cache",
        }
    )


@dataclass(frozen=True)
class Job:
    """A run's folder after the job has ended."""

    folder: Path
    status: int
    log: str

    @cached_property
    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [report for report in self.reports if report["event"] == event]

    @property
    def losses(self) -> dict[int, float]:
        return {report["step"]: report["loss"] for report in self.of("step")}

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "model" / MODEL_WEIGHTS)


def launch(config: RunConfig) -> Job:
    """Run the job as the training flow launches it."""
    config.folder.mkdir(parents=True, exist_ok=True)
    content = {"run_id": "test", "config": config.model_dump(mode="json")}
    (config.folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world = base64.urlsafe_b64encode(json.dumps({"localhost": [*range(config.world_size)]}).encode()).decode()
    several = ["modeling.training.launch", f"--world_info={world}", f"--master_port={port}", "--module"]
    launcher = several if config.world_size > 1 else []
    job = [*launcher, "modeling.training.train", "--config", str(config.folder / "run.json"), "--end-with-stdin"]
    environment = {
        **os.environ,
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(REPOSITORY),
        "TORCH_EXTENSIONS_DIR": str(Path(sys.prefix) / "torch_extensions"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    path = config.folder / "train.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", *job],
            cwd=config.folder,
            env=environment,
            stdin=subprocess.PIPE,  # ranks end when it closes: also if this test is killed
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(LONGEST_RUN)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return Job(config.folder, status, path.read_text(encoding="utf-8", errors="replace"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_version: Callable[[Path], Path]) -> Path:
    return make_version(tmp_path_factory.mktemp("dataset") / "version")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Path, one_rank: None) -> Job:
    """A whole run on one rank."""
    config = run_config(tmp_path_factory.mktemp("whole"), dataset)
    Trainer(config, rank=0).train()
    return Job(config.folder, 0, "")


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Job:
    """The same run on two ranks."""
    job = launch(run_config(tmp_path_factory.mktemp("two"), dataset, ranks=2))
    assert job.status == 0, job.log
    return job


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory, dataset: Path, whole: Job) -> Job:
    """The run as it stands when its process dies between the checkpoint of step 3 and that of step 6, gone on with."""
    folder = tmp_path_factory.mktemp("resumed")
    shutil.copytree(whole.folder, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "model")
    shutil.rmtree(folder / "checkpoints" / "step00000006")
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    died = 1 + next(i for i, line in enumerate(lines) if json.loads(line)["event"] == "step" and '"step": 5' in line)
    (folder / "metrics.jsonl").write_text("".join(lines[:died]))
    job = launch(run_config(folder, dataset))
    assert job.status == 0, job.log
    return job


class TestRun:
    def test_it_reports_what_happened_in_order(self, whole: Job) -> None:
        assert [(report["event"], report["step"]) for report in whole.reports] == [
            ("start", 0),
            ("step", 1),
            ("step", 2),
            ("step", 3),
            ("checkpoint", 3),
            ("step", 4),
            ("evaluation", 4),
            ("step", 5),
            ("step", 6),
            ("evaluation", 6),
            ("checkpoint", 6),
            ("finished", 6),
        ]

    def test_it_says_what_is_trained_on_what(self, whole: Job) -> None:
        (start,) = whole.of("start")
        model = load_model(whole.folder / "model")
        expected = {"steps": STEPS, "precision": "fp32", "ranks": 1, "train_pieces": 8}
        assert {key: start[key] for key in expected} == expected
        assert start["parameters"] == model.parameter_count()

    def test_it_learns(self, whole: Job) -> None:
        losses = whole.losses
        assert 6 < losses[1] < 8  # a guess among 1072 tokens costs 6.98 nats
        assert losses[6] < losses[1]
        assert all(0 < step["gradient_norm"] < 1000 for step in whole.of("step"))

    def test_the_learning_rate_follows_the_schedule(self, whole: Job) -> None:
        training = TrainingConfig.model_validate(TRAINING)
        rates = [report["learning_rate"] for report in whole.of("step")]
        # What is reported behind a step is the rate of the next one.
        assert rates == pytest.approx([1e-2 * learning_rate_factor(step, training) for step in range(1, STEPS + 1)])

    def test_it_leaves_a_model_that_loads(self, whole: Job) -> None:
        model = load_model(whole.folder / "model")
        config = model.config
        assert (config.layers, config.vocabulary_size, config.note_tokens, config.dropout) == (2, 1075, 1024, 0.1)
        assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())
        assert not list(whole.folder.glob("best*")) and not list(whole.folder.glob(".*")), "no staging folder is left"

    def test_held_out_figures_are_those_of_the_best_evaluation(self, whole: Job) -> None:
        (finished,) = whole.of("finished")
        best = min(whole.of("evaluation"), key=lambda report: report["nats_per_token"])
        assert best["best"]
        assert finished["best_step"] == best["step"]
        assert finished["nats_per_token"] == best["nats_per_token"]
        assert finished["nats_per_note"] == best["nats_per_note"]
        assert set(best["by_style"]) == {"(none)", "bach", "jazz"}


@pytest.mark.thorough  # `test_joint_critic.py` compares the losses of two ranks by the launcher with those of one
class TestRanks:
    def test_two_ranks_train_on_the_same_global_batches(self, whole: Job, two_ranks: Job) -> None:
        assert two_ranks.of("start")[0]["ranks"] == 2
        assert two_ranks.losses == pytest.approx(whole.losses, rel=1e-4)
        assert [report["event"] for report in two_ranks.reports] == [report["event"] for report in whole.reports]

    def test_and_come_to_the_same_weights(self, whole: Job, two_ranks: Job) -> None:
        ours = two_ranks.weights
        assert ours.keys() == whole.weights.keys()
        for name, weight in whole.weights.items():
            torch.testing.assert_close(ours[name], weight, rtol=1e-2, atol=1e-3)


@pytest.mark.thorough  # `test_trainer.py` resumes in its own process
class TestResumption:
    def test_it_goes_on_behind_the_last_checkpoint(self, resumed: Job) -> None:
        assert [report["step"] for report in resumed.of("start")] == [0, 3]
        assert [report["step"] for report in resumed.of("step")] == [1, 2, 3, 4, 5, 4, 5, 6]
        assert len(resumed.of("finished")) == 1

    def test_repeated_steps_have_the_same_losses(self, whole: Job, resumed: Job) -> None:
        assert resumed.losses == whole.losses

    def test_the_weights_are_those_of_the_uninterrupted_run(self, whole: Job, resumed: Job) -> None:
        ours = resumed.weights
        assert ours.keys() == whole.weights.keys()
        assert all(torch.equal(ours[name], weight) for name, weight in whole.weights.items())

    def test_the_time_of_the_first_attempt_counts(self, resumed: Job) -> None:
        checkpoint = resumed.folder / "checkpoints" / "step00000003" / "checkpoint.json"
        before = json.loads(checkpoint.read_text())["state"]["seconds"]
        assert 0 < before < resumed.of("finished")[0]["seconds"]

    def test_the_newest_checkpoints_are_kept(self, resumed: Job) -> None:
        names = sorted(path.name for path in (resumed.folder / "checkpoints").glob("step*"))
        assert names == ["step00000003", "step00000006"]


class TestErrors:
    """What a user is told; that it arrives is in `flows/training/test_launcher.py`."""

    @pytest.mark.parametrize(
        "kind", [TrainingError, CheckpointError, BackendError, SettingsError, ShardError, UserError, RunError]
    )
    def test_what_a_user_can_mend_is_one_line(self, kind: type[Exception]) -> None:
        assert explain(kind("a shard is missing:\n  ingest again")) == "a shard is missing: ingest again"

    def test_too_little_memory_names_the_settings_that_help(self) -> None:
        words = explain(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
        assert words is not None and "training.micro_batch_size" in words and "model.recompute" in words

    def test_the_system_s_errors_name_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError) as error:
            (tmp_path / "none" / "file").write_text("")
        assert explain(error.value) == f"{tmp_path / 'none' / 'file'}: No such file or directory"

    @pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("loss"), OSError("of no file")])
    def test_a_defect_of_ours_is_not_explain_away(self, error: Exception) -> None:
        assert explain(error) is None
