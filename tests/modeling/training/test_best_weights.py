"""The best weights: kept by step with their metrics, pruned, and published as the run's model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from modeling.network.transformer import MuseNet
from modeling.network.weights import load_model
from modeling.training.best_weights import BestWeights, read_metrics, write_metrics
from modeling.training.evaluation import EvalMetrics

METRICS = EvalMetrics(nats_per_token=2.5, nats_per_note=7.5, tokens=10, by_style={"bach": 2.5})


@pytest.fixture
def best(tmp_path: Path) -> BestWeights:
    return BestWeights(tmp_path / "best")


@pytest.fixture
def model(make_model: Callable[..., MuseNet]) -> MuseNet:
    return make_model()


def save(best: BestWeights, step: int, model: MuseNet, metrics: EvalMetrics | None = METRICS) -> None:
    best.save(step, model.config, model.state_dict(), metrics)


def test_weights_are_kept_by_step_with_their_metrics(best: BestWeights, model: MuseNet) -> None:
    save(best, 20, model)
    assert [path.name for path in best.folder.iterdir()] == ["step00000020"]
    assert torch.equal(load_model(best.of_step(20)).norm.weight, model.norm.weight)
    assert best.metrics(20) == METRICS
    assert read_metrics(best.of_step(20)) == (20, METRICS)


def test_a_step_that_is_repeated_replaces_its_weights(best: BestWeights, make_model: Callable[..., MuseNet]) -> None:
    save(best, 20, make_model(seed=0))
    save(best, 20, make_model(seed=1))
    assert [path.name for path in best.folder.iterdir()] == ["step00000020"]
    loaded, expected = load_model(best.of_step(20)), make_model(seed=1)
    assert torch.equal(loaded.embeddings.token.own, expected.embeddings.token.own)


def test_weights_of_steps_that_nothing_refers_to_are_removed(best: BestWeights) -> None:
    for step in (10, 20, 30):
        best.of_step(step).mkdir(parents=True)
    (best.folder / ".staging-123-0123abcd").mkdir()  # left by a process that was killed
    best.prune({10, 30})
    assert sorted(path.name for path in best.folder.iterdir()) == ["step00000010", "step00000030"]


def test_the_chosen_weights_become_the_model(best: BestWeights, model: MuseNet, tmp_path: Path) -> None:
    save(best, 10, model)
    save(best, 20, model, None)
    best.publish(10, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert read_metrics(tmp_path / "model") == (10, METRICS)


def test_metrics_are_read_back_as_written(tmp_path: Path) -> None:
    write_metrics(METRICS, 20, tmp_path)
    assert read_metrics(tmp_path) == (20, METRICS)


@pytest.mark.parametrize("step", [0, 12345678])
def test_folders_sort_by_step(step: int, best: BestWeights) -> None:
    assert best.of_step(step).name == f"step{step:08d}"
