"""Scores: windows over the whole piece, half a window apart, the last one at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from modeling.criticism import (
    Calibration,
    Critic,
    Window,
    hear_prefixes,
    judge,
    judge_windows,
    prefix_sizes,
    probability,
    window_starts,
)
from modeling.criticism.scoring import windows_over
from modeling.data import Split
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens


@pytest.mark.parametrize(
    ("size", "start", "expected"),
    [
        (20, 0, [0]),
        (32, 0, [0]),
        (33, 0, [0, 1]),
        (100, 0, [0, 14, 28, 42, 56, 68]),
        (100, 60, [60, 68]),
        (70, 60, [60]),
    ],
)
def test_windows_cover_what_is_to_be_heard(size: int, start: int, expected: list[int]) -> None:
    assert window_starts(size, 32, start) == expected


def test_a_piece_s_score_is_of_the_mean_logit_of_its_windows(make_critic: Callable[..., Critic], split: Split) -> None:
    critic = make_critic()
    pieces = split.pieces[-3:]
    lengths = [len(piece) for piece in pieces]
    found = judge(critic, split.encoding, pieces, lengths)
    for judgement, piece in zip(found, pieces):
        assert judgement.ends[-1] == len(piece)
        assert len(judgement.ends) == len(window_starts(len(piece), 32))
        assert judgement.score == pytest.approx(float(probability(judgement.logits.mean(keepdims=True))[0]))
        assert [end for end, _ in judgement.curve] == judgement.ends.tolist()
        assert all(0 < score < 1 for _, score in judgement.curve)
    backwards = judge(critic, split.encoding, pieces[::-1], lengths[::-1])
    assert [j.score for j in backwards[::-1]] == pytest.approx([j.score for j in found], rel=1e-5)


def test_scores_are_calibrated_by_what_was_heard(make_critic: Callable[..., Critic], split: Split) -> None:
    critic = make_critic()
    piece = split.pieces[-1]
    plain = judge(critic, split.encoding, [piece], [len(piece)])[0].logits
    scaled = replace(critic, calibration=Calibration(low=3.0, high=3.0, offset=0.5))
    np.testing.assert_allclose(judge(scaled, split.encoding, [piece], [len(piece)])[0].logits, 3 * plain + 0.5)


def test_prefixes_double_up_to_the_window() -> None:
    assert prefix_sizes(512) == [64, 128, 256]
    assert prefix_sizes(192) == [64, 128]
    assert prefix_sizes(66) == []


def test_prefixes_count_from_the_end_of_the_prompt(make_critic: Callable[..., Critic], split: Split) -> None:
    """Of two windows of 100 tokens one has 20 tokens of prompt behind its header, so that its prefix ends 20 later."""
    critic = make_critic(128, window=100, orders=0)
    whole = split.pieces[-1]
    windows = [Window(whole, 30, len(whole)), Window(whole, 30, len(whole), judged_from=30 + HEADER + 20)]
    logits, heard = hear_prefixes(critic, split.encoding, windows)
    assert heard.tolist() == [[64, 100 - HEADER], [84, 100 - HEADER]]
    everywhere = critic.hear(windows, split.encoding)
    expected = [everywhere[0, HEADER + 64 - 1], everywhere[1, HEADER + 84 - 1]]
    np.testing.assert_allclose(logits[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(logits[:, 1], everywhere[:, -1], atol=1e-5)


def test_a_prefix_is_judged_as_if_nothing_came_behind_it(make_critic: Callable[..., Critic], split: Split) -> None:
    """The order of bars is a matter of the whole window, of which a prefix must know no more than itself."""
    critic = make_critic(128, window=100)
    whole = split.pieces[-1]
    logits, _ = hear_prefixes(critic, split.encoding, [Window(whole, 0, len(whole))])
    cut = critic.hear([Window(whole[: HEADER + 64], 0, len(whole))], split.encoding)
    np.testing.assert_allclose(logits[0, 0], cut[0, HEADER + 64 - 1], atol=1e-5)


def test_windows_that_share_a_prompt_are_told_apart_by_nothing_in_it(
    make_critic: Callable[..., Critic], make_piece: Callable[..., Tokens], split: Split
) -> None:
    """A prompt is the same on both sides, so that whatever counted within it would make an AUC of one half."""
    critic = make_critic(128, window=128)
    first, second = make_piece(60, 1), make_piece(60, 2)
    prompted = np.concatenate([first[: HEADER + 80], second[HEADER:]])
    windows = [Window(tokens, 0, 200, judged_from=HEADER + 80) for tokens in (first, prompted)]
    logits, heard = hear_prefixes(critic, split.encoding, windows)
    assert np.isnan(logits[:, 0]).all() and np.isnan(heard[:, 0]).all(), "64 tokens behind it are not there"
    assert logits[0, 1] != logits[1, 1]


def test_prefixes_are_judged_where_they_hold_what_the_window_is_about(
    make_critic: Callable[..., Critic], split: Split
) -> None:
    critic = make_critic(window=64)
    whole = split.pieces[-1]
    windows = [Window(whole, 0, len(whole)), Window(whole, 0, len(whole), is_real=False, judged_from=80)]
    logits, heard = hear_prefixes(critic, split.encoding, windows)
    assert heard[0].tolist() == [64.0 - HEADER]
    assert logits[0] == pytest.approx(judge_windows(critic, split.encoding, windows[:1])[0])
    assert np.isnan(logits[1]).all() and np.isnan(heard[1]).all()


def test_of_more_windows_than_asked_for_those_all_over_the_piece_are_heard(split: Split) -> None:
    piece = np.tile(split.pieces[-1], 12)
    every, _ = windows_over([piece, piece[:40]], [len(piece), 40], 32)
    found, owners = windows_over([piece, piece[:40]], [len(piece), 40], 32, most=5)
    assert owners.tolist() == [0] * 5 + [1] * len(window_starts(40, 32))
    starts = [window.start for window in found if window.length == len(piece)]
    assert (starts[0], starts[-1]) == (0, len(piece) - 32)
    assert {*starts} < {window.start for window in every}
