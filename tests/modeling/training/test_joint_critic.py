"""Joint training: the archive is filled on the way, the critic learns, and a killed run comes to the same weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from infra.errors import UserError
from modeling.config import RunConfig
from modeling.network.weights import MODEL_WEIGHTS, load_model
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
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rank")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_version: Callable[[Path], Path]) -> Path:
    return make_version(tmp_path_factory.mktemp("dataset") / "version")


def train(folder: Path, dataset: Path, **training: Any) -> list[dict[str, Any]]:
    """Train in a folder, the archive inside it; return the events."""
    folder.mkdir(exist_ok=True)
    content = {"model": MODEL, "training": {**TRAINING, **training}, "archive": folder / "archive"}
    Trainer(RunConfig.model_validate({"dataset": dataset, "folder": folder, **content}), rank=0).train()
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


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


def test_pieces_shorter_than_the_window_are_said_so(dataset: Path, tmp_path: Path) -> None:
    long = {"model": {**MODEL, "context": 1024}, "training": {**TRAINING, "critic": {**CRITIC, "window": 1000}}}
    paths = {"dataset": dataset, "folder": tmp_path / "run", "archive": tmp_path / "archive"}
    (tmp_path / "run").mkdir()
    with pytest.raises(
        UserError, match=r"needs training pieces of more than 1000 tokens.*lower training\.critic\.window"
    ):
        Trainer(RunConfig.model_validate({**paths, **long}), rank=0)
