"""Order: what a network gains by hearing the bars of a window in their own order rather than in others.

Music prepares what comes, so that a network foresees it better from what stood before it than from the same bars in
another order. Shuffled bars gain nothing by theirs, loops and a model's own pieces more than composers' music does. The
comparison is of a window with itself, so that it matters little how hard its style is to foresee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from modeling.criticism.lessons import encoded_like
from modeling.criticism.surprise import NATS
from modeling.criticism.windows import BATCH, Window, batch_of
from modeling.network.precision import in_half
from modeling.network.transformer import MuseNet
from tokenization.damages import bars_shuffled
from tokenization.encodings import HEADER, Encoding

ORDER = 2
"""Numbers of a window: the gain in nats a token, and as a share of the window's own loss."""
GAIN = 8.0
"""By which both are multiplied, so that they are about as large as other inputs."""
LEAST_LOSS = 0.05
"""Added to a loss that is divided by; nats a token."""


@torch.no_grad()
def order_of(
    model: MuseNet, windows: Sequence[Window], losses_w: Tensor, size: int, encoding: Encoding, orders: int
) -> Tensor:
    """Return what windows of `size` tokens gain by the order of their bars, shape (windows, ORDER).

    `losses_w`: their own mean losses in nats a token, shape (windows,). `orders`: others that each is compared with,
    the same for all windows of as many bars. A window without music gains nothing.
    """
    found = [disarranged(window, size, encoding, number) for number in range(orders) for window in windows]
    own = [index for index, window in enumerate(found) if window is not None]
    losses = losses_w.repeat(orders)
    losses[own] = mean_losses_of(model, [window for window in found if window is not None], size, encoding)
    gain = losses.view(orders, -1).mean(0) - losses_w
    return GAIN * torch.stack([gain, gain / (losses_w + LEAST_LOSS)], dim=-1)


def disarranged(window: Window, size: int, encoding: Encoding, number: int) -> Window | None:
    """Return a window with its bars in another order, behind what came before it; None if it has no notes.

    Orders are told apart by their `number`.
    """
    tokens = window.tokens[: window.start + size]
    notes = encoding.decode(np.concatenate([tokens[:HEADER], tokens[window.start + HEADER :]]))
    if not len(notes):
        return None
    shuffled = encoded_like(bars_shuffled(notes, np.random.default_rng(number)), tokens, encoding)
    return replace(window, tokens=np.concatenate([tokens[: window.start + HEADER], shuffled[HEADER:]]))


@torch.no_grad()
def mean_losses_of(model: MuseNet, windows: Sequence[Window], size: int, encoding: Encoding) -> Tensor:
    """Return the mean loss of windows of `size` tokens in nats a token, shape (windows,).

    In bfloat16 where the device multiplies it natively: a mean over hundreds of tokens hides the rounding.
    """
    device = model.norm.weight.device
    table, means = model.output_table(), [torch.zeros(0, device=device)]
    for first in range(0, len(windows), BATCH):
        batch, music = batch_of(windows[first : first + BATCH], size, encoding)
        longest = max(int(music.sum(1).max()), HEADER + 1)
        batch, music = batch.slice(longest).to(device), music[:, HEADER:longest].to(device)
        with in_half(device):
            states = model.states(batch)
            for row, heard in enumerate(music):
                texture = None if batch.texture is None else batch.texture[row, HEADER - 1 : -1]
                logits = model.project(states[row, HEADER - 1 : -1], texture, table).float()
                losses = cross_entropy(logits, batch.tokens[row, HEADER:].long(), reduction="none")
                means.append(losses[heard].sum()[None] / heard.sum().clamp(min=1))
    return torch.cat(means)


def mean_losses(surprise_btf: Tensor, music_bt: Tensor) -> Tensor:
    """Return the mean loss of windows in nats a token, by their surprise, shape (windows,)."""
    heard = music_bt[:, HEADER:].to(surprise_btf.device)
    return (NATS * surprise_btf[:, HEADER:, 0] * heard).sum(1) / heard.sum(1).clamp(min=1)
