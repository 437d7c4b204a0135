"""Surprise: how unlikely a network found each token when it came, beside how sure it was of what comes.

A token that is less likely than the network expected of its own guesses speaks against music that the network knows;
one that is always as likely as expected speaks for a piece that it has drawn itself. Composers also write, now and
then, what a network takes for very unlikely, which is never drawn with top-p. States say little of all this, since they
are of what comes next.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

OF_A_TOKEN = 7
"""Numbers of a token: loss, entropy, their difference, the probability, the difference in standard deviations of the
loss, the probability of all tokens that are likelier, and 1 where that is above RARE."""
RARE = 0.97
AVERAGED = (0, 2, 4, 6)
"""Those of them that are averaged over the last tokens, too: a passage that is not real is heard amid others."""
RECENT = (16, 64, 192)
"""Tokens that such an average is over."""
SURPRISE = OF_A_TOKEN + len(AVERAGED) * len(RECENT)
"""Numbers at every position: of the token, and averages over the last ones."""
NATS = 4.0
"""By which loss and entropy are divided, so that they are about as large as other inputs."""
LEAST_VARIANCE = 0.05
"""Added to that of a loss, which is 0 where only one token can come; square nats."""


@torch.no_grad()
def surprise_of(model: MuseNet, states: Tensor, batch: Batch) -> Tensor:
    """Return the numbers of every token under a network, shape (windows, size, OF_A_TOKEN).

    `states`: the network's, shape (windows, size, d_model). Headers have none. Computed by window, since the logits of
    all would be the largest tensor by far.
    """
    found = states.new_zeros(*batch.tokens.shape, OF_A_TOKEN, dtype=torch.float32)
    table = model.output_table()
    tokens = batch.tokens.to(states.device).long()
    for row in range(len(tokens)):
        texture = None if batch.texture is None else batch.texture[row, HEADER - 1 : -1].to(states.device)
        logits = model.project(states[row, HEADER - 1 : -1], texture, table).float()
        found[row, HEADER:] = _surprise(logits, tokens[row, HEADER:])
    return found


def with_recent(numbers_btf: Tensor) -> Tensor:
    """Return the numbers of tokens with averages over the last of them, shape (windows, size, SURPRISE).

    Those over the last n tokens are over all behind the header where there are fewer.
    """
    heard = numbers_btf[:, HEADER:, list(AVERAGED)]
    sums = heard.double().cumsum(1)
    position = torch.arange(1, heard.shape[1] + 1, device=heard.device)[:, None]
    parts = [numbers_btf]
    for count in RECENT:
        recent = sums.clone()
        recent[:, count:] -= sums[:, :-count]
        average = (recent / position.clamp(max=count)).to(numbers_btf.dtype)
        parts.append(torch.nn.functional.pad(average, (0, 0, HEADER, 0)))
    return torch.cat(parts, dim=-1)


def _surprise(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the numbers of tokens, shape (size, OF_A_TOKEN), by the logits before each, shape (size, vocabulary)."""
    losses = logits.logsumexp(-1, keepdim=True) - logits
    loss = losses.gather(1, tokens[:, None])
    probabilities = (-losses).exp()
    entropy = torch.linalg.vecdot(probabilities, losses)
    variance = (torch.linalg.vecdot(probabilities, losses.square()) - entropy.square()).clamp(min=0)
    likelier = torch.linalg.vecdot(probabilities, (losses < loss).float())
    loss = loss[:, 0]
    excess = loss - entropy
    deviations = excess / (variance + LEAST_VARIANCE).sqrt()
    numbers = [loss, entropy, excess, NATS * (-loss).exp(), deviations, NATS * likelier, NATS * (likelier > RARE)]
    return torch.stack(numbers, dim=-1) / NATS
