"""Surprise: the network's own loss and entropy at every token, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from modeling.criticism import Critic, CriticConfig, Window, batch_of, new_critic
from modeling.criticism.contrasts import GAINS
from modeling.criticism.surprise import (
    AVERAGED,
    LEAST_VARIANCE,
    NATS,
    OF_A_TOKEN,
    RARE,
    RECENT,
    SURPRISE,
    surprise_of,
    with_recent,
)
from modeling.data import Split
from modeling.network.critic_head import POOLS
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
    assert found.shape == (2, SIZE, OF_A_TOKEN)
    assert not found[:, :HEADER].any()
    expected = torch.distributions.Categorical(logits=logits[:, HEADER - 1 : -1])
    loss = -expected.log_prob(batch.tokens[:, HEADER:].long())
    torch.testing.assert_close(found[:, HEADER:, 0] * NATS, loss)
    torch.testing.assert_close(found[:, HEADER:, 1] * NATS, expected.entropy())
    torch.testing.assert_close(found[:, HEADER:, 2], found[:, HEADER:, 0] - found[:, HEADER:, 1])
    torch.testing.assert_close(found[:, HEADER:, 3], (-loss).exp())
    deviation = (expected.probs * (-expected.logits).square()).sum(-1) - expected.entropy().square()
    excess = (loss - expected.entropy()) / (deviation + LEAST_VARIANCE).sqrt()
    torch.testing.assert_close(found[:, HEADER:, 4] * NATS, excess, rtol=1e-3, atol=1e-3)
    likelier = (expected.probs * (expected.logits > -loss[..., None])).sum(-1)
    torch.testing.assert_close(found[:, HEADER:, 5], likelier)
    assert torch.equal(found[:, HEADER:, 6] > 0, likelier > RARE)


def test_averages_are_over_the_last_tokens_behind_the_header() -> None:
    numbers = torch.rand(2, HEADER + 40, OF_A_TOKEN)
    found = with_recent(numbers)
    assert found.shape == (2, HEADER + 40, SURPRISE)
    assert torch.equal(found[..., :OF_A_TOKEN], numbers)
    assert not found[:, :HEADER, OF_A_TOKEN:].any()
    averages = found[..., OF_A_TOKEN:].unflatten(-1, (len(RECENT), len(AVERAGED)))
    for index, count in enumerate(RECENT):
        for last in (0, 15, 39):
            heard = numbers[:, HEADER + max(last + 1 - count, 0) : HEADER + last + 1, list(AVERAGED)]
            torch.testing.assert_close(averages[:, HEADER + last, index], heard.mean(1))


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
        new_critic(model, CriticConfig(window=SIZE, hidden=8, hears=hears), 0).hear(windows, split.encoding)
        for hears in ("both", "states")
    ]
    assert heard[0].tolist() == heard[1].tolist()


def test_a_head_may_hear_nothing_else(make_model: Callable[..., MuseNet], split: Split) -> None:
    """It has no weights for the network's units, and its logits depend on how likely the tokens were."""
    model = make_model()
    config = CriticConfig(window=SIZE, hidden=8, hears="surprise", trunk="frozen")
    critic = new_critic(model, config, 0)
    assert critic.head.d_model == 0
    assert {tensor.shape[-1] for tensor in critic.head.parameters()} <= {1, 8, SURPRISE + GAINS, 8 + POOLS}
    piece = split.pieces[-1]
    changed = piece.copy()
    changed[HEADER] = split.pieces[-2][HEADER + 1]
    heard = critic.hear([Window(each, 0, len(each)) for each in (piece, changed)], split.encoding)
    assert (heard[0] != heard[1])[HEADER:SIZE].any()
    with pytest.raises(ValueError, match="hears = surprise needs trunk = frozen"):
        CriticConfig(hears="surprise", trunk="tuned")


def test_a_head_that_hears_it_asks_for_it(make_critic: Callable[..., Critic]) -> None:
    with pytest.raises(ValueError, match="needs the surprise of its tokens"):
        make_critic().head(torch.zeros(1, 4, 32), torch.ones(1, 4, dtype=torch.bool))
