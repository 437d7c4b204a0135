"""Fitting a critic: what differs is told apart, the network itself stays as it is, and a seed gives the same critic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from modeling.criticism import Critic, CriticConfig, Lessons, fit_critic, judge_windows, new_critic
from modeling.criticism.fitting import pair_loss
from modeling.data import Split
from modeling.network.loss import UNHEARD, UNLABELLED
from modeling.network.transformer import MuseNet

SETTINGS = {"steps": 25, "batch": 8, "learning_rate": 1e-2}


@pytest.mark.parametrize("trunk", ["frozen", "tuned"])
def test_damaged_pieces_are_told_from_real_ones(trunk: str, make_critic: Callable[..., Critic], split: Split) -> None:
    settings = SETTINGS if trunk == "tuned" else {**SETTINGS, "steps": 160, "repeats": 4, "learning_rate": 3e-2}
    start = make_critic(trunk=trunk, hears="states", **settings)  # an untrained network's surprise says nothing
    before = {name: value.clone() for name, value in start.trunk.state_dict().items()}
    losses: list[float] = []
    lessons = Lessons(split, [], 32, 1.0)
    critic = fit_critic(start, lessons, 0, lambda _, loss: losses.append(loss))
    assert len(losses) == settings["steps"]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert all(torch.equal(start.trunk.state_dict()[name], value) for name, value in before.items())
    assert (critic.trunk is start.trunk) == (trunk == "frozen")
    logits, _, is_real = judge_windows(critic, split.encoding, lessons.draw(20, np.random.default_rng(9)))
    assert logits[is_real].mean() > logits[~is_real].mean()


def test_pairs_are_ranked_where_both_are_judged() -> None:
    """Two pairs of three positions: of the first one all are judged, of the second one the last alone."""
    logits = torch.tensor([[1.0, 1, 2], [1, 0, 0], [9, 9, 0], [0, 0, 5]])
    labels = torch.tensor([[1.0, 1, 1], [0, 0, 0], [UNLABELLED, 1, 1], [UNLABELLED, UNLABELLED, 0]])
    expected = np.log1p(np.exp([0.0, -1, -2, 5])).mean()
    assert float(pair_loss(logits, labels)) == pytest.approx(expected)
    assert float(pair_loss(logits, torch.full((4, 3), UNHEARD))) == 0


def test_a_frozen_trunk_computes_repeated_windows_once(
    make_critic: Callable[..., Critic], split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven steps over three batches: two of them are heard twice, and one three times."""
    start = make_critic(trunk="frozen", **{**SETTINGS, "steps": 7, "repeats": 3})
    batches: list[int] = []
    inputs = Critic.inputs
    monkeypatch.setattr(Critic, "inputs", lambda *given: (batches.append(1), inputs(*given))[1])
    losses: list[float] = []
    fit_critic(start, Lessons(split, [], 32, 1.0), 0, lambda _, loss: losses.append(loss))
    assert (len(batches), len(losses)) == (3, 7)
    assert len(set(losses)) == 7
    with pytest.raises(ValidationError, match="repeats = 3 needs trunk = frozen"):
        CriticConfig(repeats=3)


def test_a_seed_gives_the_same_critic(make_critic: Callable[..., Critic], split: Split) -> None:
    lessons = Lessons(split, [], 32, 1.0)
    few = {**SETTINGS, "steps": 3}
    first, second, other = (fit_critic(make_critic(**few), lessons, seed) for seed in (4, 4, 5))
    assert torch.equal(first.head.out_proj.weight, second.head.out_proj.weight)
    assert torch.equal(first.trunk.norm.weight, second.trunk.norm.weight)
    assert not torch.equal(first.head.out_proj.weight, other.head.out_proj.weight)


def test_a_head_that_was_trained_with_the_network_is_taken_on(
    make_model: Callable[..., MuseNet], make_critic: Callable[..., Critic]
) -> None:
    model = make_model(critic=8)
    assert model.critic is not None
    found = new_critic(model, make_critic().config, seed=0)
    assert torch.equal(found.head.out_proj.weight, model.critic.out_proj.weight)
    assert found.head is not model.critic
