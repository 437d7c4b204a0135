"""Surprise: how unlikely a network found each token when it came, beside how sure it was of what comes.

A token that is less likely than the network expected of its own guesses speaks against music that the network knows;
one that is always as likely as expected speaks for a piece that it has drawn itself. States say little of either, since
they are of what comes next.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

SURPRISE = 4
"""Numbers at every position: loss, entropy, their difference, and the probability."""
NATS = 4.0
"""By which loss and entropy are divided, so that they are about as large as other inputs."""


@torch.no_grad()
def surprise_of(model: MuseNet, states: Tensor, batch: Batch) -> Tensor:
    """Return the surprise of every token under a network, shape (windows, size, SURPRISE).

    `states`: the network's, shape (windows, size, d_model). Headers have none. Computed by window, since the logits of
    all would be the largest tensor by far.
    """
    found = states.new_zeros(*batch.tokens.shape, SURPRISE, dtype=torch.float32)
    table = model.output_table()
    tokens = batch.tokens.to(states.device).long()
    for row in range(len(tokens)):
        texture = None if batch.texture is None else batch.texture[row, HEADER - 1 : -1].to(states.device)
        logits = model.project(states[row, HEADER - 1 : -1], texture, table).float()
        total = logits.logsumexp(-1)
        loss = total - logits.gather(1, tokens[row, HEADER:, None])[:, 0]
        entropy = total - torch.linalg.vecdot(logits.softmax(-1), logits)
        found[row, HEADER:] = torch.stack([loss / NATS, entropy / NATS, (loss - entropy) / NATS, (-loss).exp()], dim=-1)
    return found
