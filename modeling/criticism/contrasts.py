"""Contrasts: what a network gains by hearing a window as it is rather than changed.

Music prepares what comes, so that a network foresees it better with its bars in their own order than in another, under
the header of its own style, and played by its own instruments. Shuffled bars gain nothing by their order, loops and a
model's own pieces more than composers' music does. Each comparison is of a window with itself, so that it matters
little how hard its style is to foresee.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from modeling.criticism.lessons import encoded_like
from modeling.criticism.surprise import NATS
from modeling.criticism.windows import BATCH, Window, batch_of
from modeling.network.precision import in_half
from modeling.network.transformer import MuseNet
from tokenization.damages import bars_shuffled
from tokenization.encodings import HEADER, Encoding
from tokenization.vocabulary import Vocabulary

GAINS = 2
"""Numbers of a window's gain that a head hears: in nats a token, and as a share of the window's own loss."""
SCALE = 8.0
"""By which both are multiplied, so that they are about as large as other inputs."""
LEAST_LOSS = 0.05
"""Added to a loss that is divided by; nats a token."""
Change = Callable[[Window, int, Encoding, int], Window | None]
"""Returns a window changed, by the tokens that are heard of it, the encoding and the number of the change; None where
that leaves it as it is."""


@torch.no_grad()
def gain_of(
    model: MuseNet,
    windows: Sequence[Window],
    losses_w: Tensor,
    size: int,
    encoding: Encoding,
    change: Change,
    others: int,
) -> Tensor:
    """Return what windows of `size` tokens gain by being as they are, in nats a token, shape (windows,).

    `losses_w`: their own mean losses in nats a token, shape (windows,). `others`: changed ones that each is compared
    with, by the same changes for all. NaN for a window that every change leaves as it is.
    """
    found = [change(window, size, encoding, number) for number in range(others) for window in windows]
    is_changed = torch.tensor([window is not None for window in found], device=losses_w.device)
    losses = losses_w.new_full((len(found),), torch.nan)
    losses[is_changed] = mean_losses_of(model, [window for window in found if window is not None], size, encoding)
    return losses.view(others, -1).nanmean(0) - losses_w


def numbers_of(gain_w: Tensor, losses_w: Tensor) -> Tensor:
    """Return gains as a head hears them, shape (windows, GAINS); one that is not known as none.

    `losses_w`: the windows' own mean losses in nats a token, shape (windows,).
    """
    gain_w = gain_w.nan_to_num(0.0)
    return torch.stack([SCALE * gain_w, share_of_loss(gain_w, losses_w)], dim=-1)


def share_of_loss(gain_w: Tensor, losses_w: Tensor) -> Tensor:
    """Return gains as multiples of an eighth of the windows' own mean losses, shape (windows,)."""
    return SCALE * gain_w / (losses_w + LEAST_LOSS)


def disarranged(window: Window, size: int, encoding: Encoding, number: int) -> Window | None:
    """Return a window with its bars in another order, behind what came before it; None if it has no notes."""
    tokens = window.tokens[: window.start + size]
    notes = encoding.decode(np.concatenate([tokens[:HEADER], tokens[window.start + HEADER :]]))
    if not len(notes):
        return None
    shuffled = encoded_like(bars_shuffled(notes, np.random.default_rng(number)), tokens, encoding)
    return replace(window, tokens=np.concatenate([tokens[: window.start + HEADER], shuffled[HEADER:]]))


def restyled(window: Window, size: int, encoding: Encoding, number: int) -> Window | None:
    """Return a window under the header of another style; None if there are no more."""
    styles = _drawn_styles(encoding.vocabulary)
    others = styles[styles != window.tokens[0]]
    if number >= len(others) or len(window.tokens) <= HEADER:
        return None
    tokens = window.tokens[: window.start + size].copy()
    tokens[0] = others[number]
    return replace(window, tokens=tokens)


def reorchestrated(window: Window, size: int, encoding: Encoding, number: int) -> Window | None:
    """Return a window in which another instrument plays the notes of each since the piece began, drums left out; None
    if it has no such notes, or there are no more."""
    tokens = window.tokens[: window.start + size]
    notes = encoding.decode(tokens)
    others = _other_programs(encoding.vocabulary)
    if number >= len(others) or notes.drum.all():
        return None
    programs = np.where(notes.drum, notes.program, others[number][notes.program]).astype(np.uint8)
    played = encoded_like(replace(notes, program=programs), tokens, encoding, kept=1)
    return replace(window, tokens=played, start=min(window.start, max(len(played) - HEADER - 1, 0)))


@lru_cache
def _drawn_styles(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return the ids of a vocabulary's styles in an order drawn once for all windows."""
    ids = [vocabulary.style_id(style) for style in vocabulary.styles]
    return np.random.default_rng(0).permutation(np.array(ids, np.int64))


@lru_cache
def _other_programs(vocabulary: Vocabulary) -> NDArray[np.uint8]:
    """Return the programs that play in the place of each, shape (instruments - 1, 128).

    A row moves every instrument on by as many places among those with pitches; rows are in an order drawn once.
    """
    pitched = np.array([index for index, each in enumerate(vocabulary.instruments) if not each.drum])
    programs = np.array([vocabulary.instruments[index].output_program for index in pitched], np.uint8)
    place = np.searchsorted(pitched, vocabulary.program_instrument)
    steps = np.random.default_rng(0).permutation(np.arange(1, len(pitched)))
    return np.asarray(programs[(place + steps[:, None]) % len(pitched)])


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
