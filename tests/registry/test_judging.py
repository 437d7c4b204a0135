"""Judging: what the critic of a model says of music, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from infra.errors import UserError
from modeling.criticism import ASPECTS, Calibration, Critic, judge
from modeling.generation import ModelBundle
from registry.composer import Composer
from registry.judging import Judged, judge_music
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes
from tokenization.vocabulary import VocabularyError


@pytest.fixture
def heard(composer: Composer) -> ModelBundle:
    """One whose critic's aspects were measured."""
    assert composer.bundle.critic is not None
    return replace(composer.bundle, critic=measured(composer.bundle.critic))


def measured(critic: Critic) -> Critic:
    return replace(critic, aspects={each.name: Calibration() for each in ASPECTS})


@pytest.fixture
def notes(song: Callable[[int], bytes]) -> Notes:
    return read_midi(song(1))


def test_a_piece_has_a_score_aspects_and_a_curve_in_seconds(heard: ModelBundle, notes: Notes) -> None:
    found = judge_music(heard, notes, "bach")
    assert {*found.aspects} == {"order", "instruments", "style"}
    seconds = [until for until, _ in found.curve]
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(notes.seconds, abs=0.05)
    tokens = heard.encoding.encode(notes, "bach")[:-1]
    assert heard.critic is not None
    (own,) = judge(heard.critic, heard.encoding, [tokens], [len(tokens) + 1])
    assert found.score == pytest.approx(own.score, abs=1e-6)


def test_music_of_no_known_style_has_no_aspect_of_style(heard: ModelBundle, notes: Notes) -> None:
    assert {*judge_music(heard, notes, None).aspects} == {"order", "instruments"}


def test_an_unknown_style_is_named(heard: ModelBundle, notes: Notes) -> None:
    with pytest.raises(VocabularyError, match="bachh"):
        judge_music(heard, notes, "bachh")


def test_a_model_without_a_critic_says_so(heard: ModelBundle, notes: Notes) -> None:
    with pytest.raises(UserError, match="the model has no critic: train one"):
        judge_music(replace(heard, critic=None), notes, None)


def test_the_weakest_window_is_the_least_likely_real() -> None:
    assert Judged(0.5, {}, [(3.0, 0.9), (6.0, 0.2), (9.0, 0.6)]).weakest == (6.0, 0.2)
