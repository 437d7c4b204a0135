"""Order: what a window gains by the order of its bars is a comparison of it with itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeling.criticism import Critic, Window, batch_of
from modeling.criticism.order import GAIN, LEAST_LOSS, ORDER, disarranged, mean_losses, mean_losses_of, order_of
from modeling.criticism.surprise import surprise_of
from modeling.data import Split
from modeling.network import precision
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

SIZE = 32


@pytest.fixture
def windows(split: Split) -> list[Window]:
    """Of whole pieces, and of the middle of one."""
    pieces = split.pieces[-2:]
    return [*(Window(piece, 0, len(piece)) for piece in pieces), Window(pieces[0], 8, len(pieces[0]))]


@pytest.fixture
def in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that does not multiply bfloat16, on which nothing is rounded to it."""
    monkeypatch.setattr(precision, "multiplies_bf16", lambda device: False)


@pytest.mark.usefixtures("in_full")
@torch.inference_mode()
def test_it_is_the_loss_under_other_orders_less_the_window_s_own(
    make_model: Callable[..., MuseNet], split: Split, windows: list[Window]
) -> None:
    model = make_model()
    own = mean_losses_of(model, windows, SIZE, split.encoding)
    others = []
    for number in range(2):
        copies = [disarranged(window, SIZE, split.encoding, number) for window in windows]
        others.append(mean_losses_of(model, [copy for copy in copies if copy is not None], SIZE, split.encoding))
    gain = (others[0] + others[1]) / 2 - own
    found = order_of(model, windows, own, SIZE, split.encoding, 2)
    assert found.shape == (3, ORDER)
    torch.testing.assert_close(found[:, 0], GAIN * gain)
    torch.testing.assert_close(found[:, 1], GAIN * gain / (own + LEAST_LOSS))


@torch.inference_mode()
def test_the_loss_is_that_of_surprise(make_model: Callable[..., MuseNet], split: Split, windows: list[Window]) -> None:
    """But for the rounding of bfloat16."""
    model = make_model()
    batch, music = batch_of(windows, SIZE, split.encoding)
    own = mean_losses(surprise_of(model, model.states(batch), batch), music)
    torch.testing.assert_close(mean_losses_of(model, windows, SIZE, split.encoding), own, atol=0.02, rtol=0)


def test_bars_change_places_behind_what_came_before(split: Split, windows: list[Window]) -> None:
    window = windows[-1]
    found = disarranged(window, SIZE, split.encoding, 0)
    assert found is not None
    before = window.start + HEADER
    assert found.tokens[:before].tolist() == window.tokens[:before].tolist()
    assert (found.start, found.length) == (window.start, window.length)
    heard = window.tokens[: window.start + SIZE]
    alone = [np.concatenate([tokens[:HEADER], tokens[before:]]) for tokens in (heard, found.tokens)]
    pitches = [sorted(split.encoding.decode(tokens).pitch.tolist()) for tokens in alone]
    assert pitches[0] == pitches[1]


@torch.inference_mode()
def test_a_window_without_notes_gains_nothing(make_model: Callable[..., MuseNet], split: Split) -> None:
    header = Window(split.pieces[-1][:HEADER], 0, 64)
    assert disarranged(header, SIZE, split.encoding, 0) is None
    assert not order_of(make_model(), [header], torch.ones(1), SIZE, split.encoding, 2).any()


@pytest.mark.usefixtures("in_full")
def test_a_critic_hears_it_of_each_window_alone(
    make_critic: Callable[..., Critic], split: Split, windows: list[Window]
) -> None:
    """What it hears does not depend on what else is in the batch, nor on what comes behind the window."""
    critic = make_critic()
    together = critic.hear(windows, split.encoding)
    cut = [replace(window, tokens=window.tokens[: window.start + 32]) for window in windows]
    for window, heard in zip(cut, together, strict=True):
        np.testing.assert_allclose(critic.hear([window], split.encoding)[0], heard, atol=1e-5)
    without = make_critic(orders=0)
    assert without.head.surprise_proj is not None and critic.head.surprise_proj is not None
    assert critic.head.surprise_proj.in_features == without.head.surprise_proj.in_features + ORDER
