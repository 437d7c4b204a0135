"""A critic of a small network, untrained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from modeling.criticism import Critic, CriticConfig, new_head
from modeling.network.transformer import MuseNet

MakeCritic = Callable[..., Critic]


@pytest.fixture(scope="session")
def make_critic(make_model: Callable[..., MuseNet]) -> MakeCritic:
    """Makes a critic with a window of 32 tokens; takes other settings, of `CriticConfig`, and a model's context."""

    def make(context: int = 64, **settings: object) -> Critic:
        torch.manual_seed(0)
        config = CriticConfig(**{"window": 32, "hidden": 8, **settings})
        model = make_model(context=context)
        return Critic(model, model, new_head(32, config).eval(), config)

    return make
