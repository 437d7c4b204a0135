"""Surprise: the network's own loss and entropy at every token, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from modeling.criticism import Critic, CriticConfig, Window, batch_of, new_critic
from modeling.criticism.surprise import NATS, SURPRISE, surprise_of
from modeling.data import Split
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

SIZE = 32


@pytest.mark.parametrize("melody", [0, 4])
def test_it_is_loss_and_entropy_of_each_token(melody: int, make_model: Callable[..., MuseNet], split: Split) -> None:
    model = make_model(melody=melody, structure=["time", "sounding"])
    batch, _ = batch_of([Window(piece, 0, len(piece)) for piece in split.pieces[-2:]], SIZE, split.encoding)
    with torch.inference_mode():
        states = model.states(batch)
        found = surprise_of(model, states, batch)
        logits = model.logits(states, batch.texture)
    assert found.shape == (2, SIZE, SURPRISE)
    assert not found[:, :HEADER].any()
    expected = torch.distributions.Categorical(logits=logits[:, HEADER - 1 : -1])
    loss = -expected.log_prob(batch.tokens[:, HEADER:].long())
    torch.testing.assert_close(found[:, HEADER:, 0] * NATS, loss)
    torch.testing.assert_close(found[:, HEADER:, 1] * NATS, expected.entropy())
    torch.testing.assert_close(found[:, HEADER:, 2], found[:, HEADER:, 0] - found[:, HEADER:, 1])
    torch.testing.assert_close(found[:, HEADER:, 3], (-loss).exp())


def test_a_tuned_critic_hears_the_surprise_of_the_model_itself(
    make_critic: Callable[..., Critic], split: Split
) -> None:
    """With the trunk replaced by another network, logits depend on the model as well."""
    critic = make_critic()
    assert critic.head.surprise_proj is not None
    torch.nn.init.normal_(critic.head.surprise_proj.weight)
    windows = [Window(split.pieces[-1], 0, len(split.pieces[-1]))]
    other = MuseNet(critic.model.config)
    tuned, without = (Critic(model, other, critic.head, critic.config) for model in (critic.model, other))
    assert (tuned.hear(windows, split.encoding) != without.hear(windows, split.encoding))[:, HEADER:].any()


def test_a_head_trained_with_the_network_hears_surprise_without_effect_at_first(
    make_model: Callable[..., MuseNet], split: Split
) -> None:
    model = make_model(critic=8)
    windows = [Window(split.pieces[-1], 0, len(split.pieces[-1]))]
    heard = [
        new_critic(model, CriticConfig(window=SIZE, hidden=8, surprise=surprise), 0).hear(windows, split.encoding)
        for surprise in (True, False)
    ]
    assert heard[0].tolist() == heard[1].tolist()


def test_a_head_that_hears_it_asks_for_it(make_critic: Callable[..., Critic]) -> None:
    with pytest.raises(ValueError, match="needs the surprise of its tokens"):
        make_critic().head(torch.zeros(1, 4, 32), torch.ones(1, 4, dtype=torch.bool))
