"""Contrasts: what a window gains by being as it is, compared with itself changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeling.criticism import Critic, Window, batch_of
from modeling.criticism.contrasts import (
    GAINS,
    LEAST_LOSS,
    SCALE,
    Change,
    disarranged,
    gain_of,
    mean_losses,
    mean_losses_of,
    numbers_of,
    reorchestrated,
    restyled,
)
from modeling.criticism.surprise import surprise_of
from modeling.data import Split
from modeling.network import precision
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER

SIZE = 32
CHANGES: list[Change] = [disarranged, restyled, reorchestrated]


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
@pytest.mark.parametrize("change", CHANGES)
@torch.inference_mode()
def test_it_is_the_loss_of_changed_windows_less_the_window_s_own(
    change: Change, make_model: Callable[..., MuseNet], split: Split, windows: list[Window]
) -> None:
    model, others = make_model(), []
    own = mean_losses_of(model, windows, SIZE, split.encoding)
    for number in range(2):
        copies = [change(window, SIZE, split.encoding, number) for window in windows]
        losses = torch.full((len(windows),), torch.nan)
        for index, copy in enumerate(copies):
            if copy is not None:
                losses[index] = mean_losses_of(model, [copy], SIZE, split.encoding)[0]
        others.append(losses)
    found = gain_of(model, windows, own, SIZE, split.encoding, change, 2)
    torch.testing.assert_close(found, torch.stack(others).nanmean(0) - own)


def test_a_head_hears_it_in_nats_and_as_a_share_of_the_loss() -> None:
    found = numbers_of(torch.tensor([0.5, torch.nan]), torch.tensor([1.2, 3.0]))
    expected = [[SCALE * 0.5, SCALE * 0.5 / (1.2 + LEAST_LOSS)], [0.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


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


def test_another_style_changes_the_header_alone(split: Split, windows: list[Window]) -> None:
    window, styles = windows[0], []
    for number in range(len(split.encoding.vocabulary.styles) - 1):
        found = restyled(window, SIZE, split.encoding, number)
        assert found is not None
        assert found.tokens[1:].tolist() == window.tokens[1:SIZE].tolist()
        styles.append(int(found.tokens[0]))
    assert len({*styles, int(window.tokens[0])}) == len(split.encoding.vocabulary.styles)
    assert restyled(window, SIZE, split.encoding, len(styles)) is None, "there are no more"


def test_other_instruments_play_the_same_notes(split: Split, windows: list[Window]) -> None:
    window, vocabulary = windows[0], split.encoding.vocabulary
    own = split.encoding.decode(window.tokens[:SIZE])
    heard = []
    for number in range(len(vocabulary.instruments) - 2):
        found = reorchestrated(window, SIZE, split.encoding, number)
        assert found is not None
        notes = split.encoding.decode(found.tokens)
        assert sorted(notes.pitch.tolist()) == sorted(own.pitch.tolist())
        assert notes.drum.sum() == own.drum.sum()
        heard.append(frozenset(vocabulary.program_instrument[notes.program[~notes.drum]].tolist()))
        assert found.tokens[0] == window.tokens[0]
        assert found.tokens[1] == split.encoding.encode(notes)[1], "the header names them"
    before = frozenset(vocabulary.program_instrument[own.program[~own.drum]].tolist())
    assert before not in heard
    assert reorchestrated(window, SIZE, split.encoding, len(heard)) is None, "there are no more"


@torch.inference_mode()
def test_of_a_window_without_notes_nothing_is_known(make_model: Callable[..., MuseNet], split: Split) -> None:
    header = Window(split.pieces[-1][:HEADER], 0, 64)
    for change in CHANGES:
        assert change(header, SIZE, split.encoding, 0) is None
        assert gain_of(make_model(), [header], torch.ones(1), SIZE, split.encoding, change, 2).isnan().all()


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
    assert critic.head.surprise_proj.in_features == without.head.surprise_proj.in_features + GAINS
