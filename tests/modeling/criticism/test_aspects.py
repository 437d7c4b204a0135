"""Aspects: what a critic says of a piece's order, instruments and style."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeling.criticism import (
    ASPECTS,
    Aspect,
    Calibration,
    Critic,
    Window,
    aspects,
    hear_aspects,
    judge_aspects,
    probability,
)
from modeling.criticism.aspects import MOST_WINDOWS
from modeling.criticism.contrasts import LEAST_LOSS, SCALE, disarranged, mean_losses_of
from modeling.criticism.scoring import windows_over
from modeling.data import Split
from tokenization.encodings import HEADER

SIZE = 32
MEASURED = {each.name: Calibration(offset=0.5) for each in ASPECTS}


@torch.inference_mode()
def test_what_is_heard_is_the_gain_as_a_share_of_the_loss(make_critic: Callable[..., Critic], split: Split) -> None:
    """By as many eighths of the loss; but for the rounding of other batches."""
    critic, piece = make_critic(), split.pieces[-1]
    window = Window(piece, 0, len(piece))
    (gain,), heard = hear_aspects(critic.model, split.encoding, [window], SIZE, ASPECTS[:1])
    changed = [disarranged(window, SIZE, split.encoding, number) for number in range(2)]
    own, *others = mean_losses_of(
        critic.model, [window, *(each for each in changed if each is not None)], SIZE, split.encoding
    ).tolist()
    assert gain[0] == pytest.approx(SCALE * (np.mean(others) - own) / (own + LEAST_LOSS), abs=0.05)
    assert heard.tolist() == [SIZE - HEADER]


def test_a_piece_s_aspects_are_of_the_mean_logits_of_its_windows(
    make_critic: Callable[..., Critic], split: Split
) -> None:
    critic = replace(make_critic(), aspects=MEASURED)
    pieces = split.pieces[-3:]
    lengths = [len(piece) for piece in pieces]
    found = judge_aspects(critic, split.encoding, pieces, lengths)
    for judged, piece in zip(found, pieces, strict=True):
        windows, _ = windows_over([piece], [len(piece)], critic.config.window)
        gains, heard = hear_aspects(critic.model, split.encoding, windows, critic.config.window)
        logits = np.stack([MEASURED[a.name].apply(gains[:, n], heard) for n, a in enumerate(ASPECTS)])
        expected = probability(logits.mean(axis=1)).tolist()
        assert [judged[each.name] for each in ASPECTS] == pytest.approx(expected, abs=0.02)


def test_there_are_none_that_were_not_measured(make_critic: Callable[..., Critic], split: Split) -> None:
    critic, piece = make_critic(), split.pieces[-1]
    assert judge_aspects(critic, split.encoding, [piece], [len(piece)]) == [{}]
    style = replace(critic, aspects={"style": Calibration()})
    assert [*judge_aspects(style, split.encoding, [piece], [len(piece)])[0]] == ["style"]


def test_nor_where_nothing_can_be_said(make_critic: Callable[..., Critic], split: Split) -> None:
    """A header has no music that could be in another order, by other instruments or in another style."""
    critic = replace(make_critic(), aspects=MEASURED)
    header = split.pieces[-1][:HEADER]
    assert judge_aspects(critic, split.encoding, [header], [64]) == [{}]


def test_of_a_long_piece_windows_all_over_it_are_heard(
    make_critic: Callable[..., Critic], split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []

    def hear(model: object, encoding: object, windows: list[Window], size: int, measured: list[Aspect]) -> object:
        heard.extend(window.start for window in windows)
        return np.zeros((len(windows), len(measured))), np.ones(len(windows))

    monkeypatch.setattr(aspects, "hear_aspects", hear)
    piece = np.concatenate([split.pieces[-1], *(split.pieces[-1][HEADER:] for _ in range(12))])
    every, _ = windows_over([piece], [len(piece)], 32)
    assert len(every) > 2 * MOST_WINDOWS
    judge_aspects(replace(make_critic(), aspects=MEASURED), split.encoding, [piece], [len(piece)])
    assert len(heard) == MOST_WINDOWS
    assert (heard[0], heard[-1]) == (every[0].start, every[-1].start)
