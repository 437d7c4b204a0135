"""The n-gram: probabilities that sum to 1, the same as a slow, literal model's, on the network's own targets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.ngram import score, with_copies
from flows.evaluation.baselines.ngram import NGram, discounts
from modeling.config import ModelConfig
from modeling.data import Split
from modeling.network.transformer import MuseNet
from modeling.training.evaluation import evaluate
from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

LETTERS = 4
HEADER = 1
texts = st.lists(st.lists(st.integers(0, LETTERS - 1), min_size=2, max_size=12), min_size=1, max_size=5)


def pieces_of(rows: Sequence[Sequence[int]]) -> list[np.ndarray]:
    return [np.array(row, np.uint16) for row in rows]


class Literal:
    """Interpolated modified Kneser–Ney as the paper writes it, with dictionaries."""

    def __init__(self, rows: Sequence[Sequence[int]], order: int) -> None:
        before = (LETTERS,) * (order - 1)
        self.order = order
        self.counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
        for row in rows:
            line = (*before, *row)
            for end in range(order + HEADER, len(line) + 1):
                self.counts[order][line[end - order : end]] += 1
        for n in range(order - 1, 0, -1):
            for gram in self.counts[n + 1]:
                self.counts[n][gram[1:]] += 1

    def probability(self, context: tuple[int, ...], token: int, n: int | None = None) -> float:
        n = self.order if n is None else n
        if n == 0:
            return 1 / LETTERS
        context = context[len(context) - (n - 1) :]
        lower = self.probability(context[1:], token, n - 1)
        followers = {gram[-1]: count for gram, count in self.counts[n].items() if gram[:-1] == context}
        if not followers:
            return lower
        cut = discounts(np.array(list(self.counts[n].values())))
        total = sum(followers.values())
        spared = sum(cut[min(count, 3)] for count in followers.values()) / total
        own = followers.get(token, 0)
        return float(max(own - cut[min(own, 3)], 0) / total + spared * lower)


@settings(max_examples=25, deadline=None)
@given(rows=texts, asked=st.lists(st.integers(0, LETTERS - 1), min_size=6, max_size=6), order=st.integers(1, 4))
def test_it_is_the_model_of_the_paper(rows: list[list[int]], asked: list[int], order: int) -> None:
    model = NGram(pieces_of(rows), LETTERS, order, HEADER)
    literal = Literal(rows, order)
    line = [LETTERS] * (order - 1) + asked
    found = model.probabilities(np.array([line]))[0, order - 1 :]
    expected = [literal.probability(tuple(line[i : i + order - 1]), token) for i, token in enumerate(asked)]
    assert np.allclose(found, expected)


@settings(max_examples=15, deadline=None)
@given(rows=texts, context=st.lists(st.integers(0, LETTERS + 1), min_size=3, max_size=3), order=st.integers(1, 4))
def test_probabilities_sum_to_one_after_any_context(rows: list[list[int]], context: list[int], order: int) -> None:
    model = NGram(pieces_of(rows), LETTERS, 4, HEADER)
    lines = np.array([[*context, token] for token in range(LETTERS)])
    assert math.isclose(model.probabilities(lines, order)[:, -1].sum(), 1.0)


def test_discounts_come_from_counts_of_counts() -> None:
    # 4 grams seen once, 2 twice, 2 three times, 1 four times, 1 seven times: y = 4 / (4 + 2·2) = 1/2
    count = np.array([1, 1, 1, 1, 2, 2, 3, 3, 4, 7])
    assert discounts(count).tolist() == [0, 1 - 2 * 0.5 * 2 / 4, 2 - 3 * 0.5 * 2 / 2, 3 - 4 * 0.5 * 1 / 2]
    assert discounts(np.array([1, 1])).tolist() == [0, 0.5, 1, 1.5]


def test_the_header_is_context_and_never_learned() -> None:
    model = NGram(pieces_of([[3, 0, 1], [3, 0, 1]]), LETTERS, 2, header=1)
    assert model.probabilities(np.array([[3, 0]]))[0, 1] > 0.6
    assert model.probabilities(np.array([[0, 3]]))[0, 1] < 0.15


@pytest.fixture(scope="module")
def split() -> Split:
    """Three pieces for piano: within a window, of its length, and far longer."""
    encoding = Combined(Vocabulary.load("musenet"))
    random = np.random.default_rng(0)
    pieces = []
    for count in (5, 13, 200):
        onset, pitch = random.uniform(0, count / 8, count), random.integers(48, 73, count)
        same = np.zeros(count, np.int64)
        notes = Notes.from_columns(onset, np.full(count, 0.3), pitch, same + 64, same, same.astype(np.bool_))
        pieces.append(encoding.encode(notes))
    return Split(pieces, ["a", "b", "c"], [None] * 3, encoding)


def test_transposed_copies_are_learned_beside_the_pieces(split: Split) -> None:
    pieces = with_copies(split, 2)
    assert [len(piece) for piece in pieces] == [*split.sizes, *np.repeat(split.sizes, 2)]
    assert any(not np.array_equal(piece, copy) for piece, copy in zip(split.pieces, pieces[3::2]))
    assert len(with_copies(split, 0)) == 3


def test_its_targets_are_those_of_the_network(split: Split) -> None:
    size = split.vocabulary.size
    shape = {"layers": 1, "heads": 1, "d_model": 8, "context": 32, "vocabulary_size": size}
    network = evaluate(MuseNet(ModelConfig.model_validate(shape)), split, 32, batch_size=8, limit=None)
    ignorant = NGram([np.zeros(1, np.uint16)], size, order=3, header=1)
    found = score(ignorant, split, 32)
    assert found.tokens == network.tokens
    assert math.isclose(found.nats_per_token, math.log(size))
    assert math.isclose(found.nats_per_note / found.nats_per_token, network.nats_per_note / network.nats_per_token)


def test_what_it_has_learned_by_heart_costs_little_from_the_first_token_on(split: Split) -> None:
    model = NGram(split.pieces, split.vocabulary.size, order=5)
    assert score(model, split, 32).nats_per_token < 1.5
    assert score(model, split, 32).nats_per_token < score(model, split, 32, order=2).nats_per_token
    assert score(model, split, 32, limit=1).windows == 1
