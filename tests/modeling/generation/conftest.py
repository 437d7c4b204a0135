"""Models, critics and requests to compose with, for every encoding."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeling.criticism import Critic, CriticConfig, Estimate, new_head
from modeling.generation import ModelBundle, Request, SamplingConfig
from modeling.network.transformer import MuseNet
from tokenization.encodings import Encoding, Time, get_encoding, learn_tokens
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

CRITIC = CriticConfig(window=32, hidden=8)
BEATS_CHANCE = Estimate(0.8, 0.6, 0.9)

MakeRequest = Callable[..., Request]
BundleOf = Callable[[str, Time], ModelBundle]


@pytest.fixture(scope="session")
def make_request() -> MakeRequest:
    """A request for three candidates of 40 tokens in the style of Bach, with changes."""

    def request(**changes: object) -> Request:
        plain = {"style": "bach", "instruments": (), "length": 40, "best_of": 3, "seed": 0}
        return Request(**{**plain, "sampling": SamplingConfig(top_p=1.0), **changes})  # type: ignore[arg-type]

    return request


@pytest.fixture(scope="session")
def tune(make_notes: Callable[[int, int], Notes]) -> Notes:
    return make_notes(6, 0)


@pytest.fixture(scope="session")
def long_tune(make_notes: Callable[[int, int], Notes]) -> Notes:
    return make_notes(200, 1)


def learned_encoding(name: str, vocabulary: Vocabulary, time: Time, tune: Notes) -> Encoding:
    """An encoding; a learned one has the tune's chords, or notes with a short wait behind them as merges."""
    encoding = get_encoding(name, vocabulary, time)
    if encoding.learns is not LearnedKind.MERGE:
        return learn_tokens(encoding, [encoding.write(encoding.grid(tune))], 500)
    is_note = np.repeat(vocabulary.row_velocity > 0, 128)
    merges = itertools.product(
        np.flatnonzero(is_note).tolist(), range(vocabulary.wait_base + 1, vocabulary.wait_base + 9)
    )
    return get_encoding(name, replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, tuple(merges))), time)


@pytest.fixture(scope="session")
def bundle_of(make_model: Callable[..., MuseNet], vocabulary: Vocabulary, long_tune: Notes) -> BundleOf:
    """A network for an encoding, which nearly never ends a piece."""

    def make(name: str, time: Time) -> ModelBundle:
        encoding = learned_encoding(name, vocabulary, time, long_tune)
        model = make_model(tied_output=False, vocabulary_size=encoding.vocabulary.size)
        with torch.no_grad():
            model.norm.bias.fill_(1.0)
            model.output.weight[encoding.vocabulary.end] = -0.5
        torch.manual_seed(1)
        return ModelBundle(model, Critic(model, model, new_head(32, CRITIC).eval(), CRITIC, auc=BEATS_CHANCE), encoding)

    return make


@pytest.fixture(scope="session")
def bundle(bundle_of: BundleOf) -> ModelBundle:
    return bundle_of("combined", Time.SECONDS)
