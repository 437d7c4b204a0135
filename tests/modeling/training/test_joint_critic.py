"""Joint training: the archive is filled on the way, the critic learns, and a killed run comes to the same weights.

Two ranks are this file, run as a program by the launcher.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from infra.errors import UserError
from modeling.archive import Archive
from modeling.config import RunConfig
from modeling.network.weights import MODEL_WEIGHTS, load_model
from modeling.training.deepspeed_package import comm
from modeling.training.process_group import process_group
from modeling.training.trainer import Trainer

MODEL = {
    "layers": 2,
    "heads": 2,
    "d_model": 32,
    "context": 64,
    "sparsity": {"mode": "strided", "block": 16, "stride": 8},
    "structure": ["time", "countdown", "sounding"],
}
CRITIC = {"every": 2, "rows": 4, "fill_every": 2, "window": 40, "hidden": 8, "archive": {"batch": 3, "most": 50}}
TRAINING = {
    "steps": 6,
    "batch_size": 4,
    "micro_batch_size": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 1,
    "precision": "fp32",
    "evaluate_every": 6,
    "checkpoint_every": 3,
    "pack": True,
    "mixup": {"rate": 0.5},
    "critic": CRITIC,
}
STEPS, STAGES = 5, (2, 3)
"""Of the jobs of two ranks."""
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rank")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_version: Callable[[Path], Path]) -> Path:
    return make_version(tmp_path_factory.mktemp("dataset") / "version")


def train(folder: Path, dataset: Path, **training: Any) -> list[dict[str, Any]]:
    """Train in a folder, the archive inside it, as one rank of all that there are; return the events."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model": MODEL, "training": {**TRAINING, **training}, "archive": folder / "archive"}
    places = {"dataset": dataset, "folder": folder, "world_size": comm.get_world_size()}
    Trainer(RunConfig.model_validate({**places, **content}), rank=comm.get_rank()).train()
    return events_of(folder)


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def losses_of(events: list[dict[str, Any]]) -> list[tuple[float, float | None]]:
    """The losses of language and critic, by step."""
    return [(event["loss"], event["critic_loss"]) for event in events if event["event"] == "step"]


def test_a_killed_run_hears_the_same_generations_and_comes_to_the_same_weights(dataset: Path, tmp_path: Path) -> None:
    events = train(tmp_path / "whole", dataset)
    filled = [event for event in events if event["event"] == "archive"]
    assert [event["step"] for event in filled] == [2, 4]
    assert all(event["generations"] >= 3 for event in filled)
    assert all(0 < event["share"] < 1 for event in filled)
    asked = [event["step"] - 1 for event in events if event["event"] == "step" and event["critic_loss"] is not None]
    assert asked == [0, 2, 4]
    assert load_model(tmp_path / "whole" / "model").critic is not None

    died = tmp_path / "died" / "whole"
    shutil.copytree(tmp_path / "whole", died)
    shutil.rmtree(died / "model")
    shutil.rmtree(died / "checkpoints" / "step00000006")
    again = train(died, dataset)
    assert [event["generations"] for event in again if event["event"] == "archive"][2:] == [0], "step 4 is on disk"
    whole, resumed = (load_file(folder / "model" / MODEL_WEIGHTS) for folder in (tmp_path / "whole", died))
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())


def test_two_ranks_of_any_stage_take_the_same_steps_as_one(dataset: Path, tmp_path: Path) -> None:
    """They have the generations of step 2 from the run of one rank, and make those of step 4 themselves."""
    one = losses_of(train(tmp_path / "one" / "run", dataset, steps=STEPS))
    for stage in STAGES:
        name = Archive.name_of(2) + ".parquet"
        (tmp_path / f"stage{stage}" / "run" / "archive").mkdir(parents=True)
        shutil.copy(tmp_path / "one" / "run" / "archive" / name, tmp_path / f"stage{stage}" / "run" / "archive" / name)
    _run_two_ranks(tmp_path, dataset)
    for stage in STAGES:
        events = events_of(tmp_path / f"stage{stage}" / "run")
        two = losses_of(events)
        assert [language for language, _ in two[:4]] == pytest.approx([language for language, _ in one[:4]], rel=1e-3)
        assert [two[0][1], two[2][1]] == pytest.approx([one[0][1], one[2][1]], rel=1e-2), f"ZeRO-{stage}"
        made = {event["step"]: event["generations"] for event in events if event["event"] == "archive"}
        assert made[2] == 0 and made[4] > 0, f"ZeRO-{stage}"
        assert load_model(tmp_path / f"stage{stage}" / "run" / "model").critic is not None


def _run_two_ranks(folder: Path, dataset: Path) -> None:
    """Run this file as a job of two processes, by the launcher."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world = base64.urlsafe_b64encode(json.dumps({"localhost": [0, 1]}).encode()).decode()
    place = ["--master_addr=127.0.0.1", f"--master_port={port}", f"--world_info={world}", "--no_local_rank"]
    job = subprocess.run(
        [sys.executable, "-u", "-m", "modeling.training.launch", *place, __file__, str(folder), str(dataset)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert job.returncode == 0, job.stdout


def test_pieces_shorter_than_the_window_are_said_so(dataset: Path, tmp_path: Path) -> None:
    long = {"model": {**MODEL, "context": 1024}, "training": {**TRAINING, "critic": {**CRITIC, "window": 1000}}}
    paths = {"dataset": dataset, "folder": tmp_path / "run", "archive": tmp_path / "archive"}
    (tmp_path / "run").mkdir()
    with pytest.raises(
        UserError, match=r"needs training pieces of more than 1000 tokens.*lower training\.critic\.window"
    ):
        Trainer(RunConfig.model_validate({**paths, **long}), rank=0)


def main() -> None:
    torch.set_num_threads(1)
    folder, dataset = map(Path, sys.argv[1:])
    with process_group():
        for stage in STAGES:
            train(folder / f"stage{stage}" / "run", dataset, steps=STEPS, zero_stage=stage)


if __name__ == "__main__":
    main()
