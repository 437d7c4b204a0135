"""Held-out figures: of a network that only guesses they are known by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from modeling.data import Split
from modeling.network.transformer import MuseNet
from modeling.training.evaluation import evaluate
from tokenization.encodings import HEADER
from tokenization.vocabulary import Vocabulary


@pytest.fixture
def guesser(make_model: Callable[..., MuseNet]) -> MuseNet:
    """Gives every token the same probability."""
    model = make_model()
    with torch.no_grad():
        model.norm.weight.zero_()
    return model


@pytest.fixture(scope="module")
def short(split: Split) -> Split:
    """The pieces of the split that fit one window: every body token is seen exactly once."""
    chosen = [i for i, piece in enumerate(split.pieces) if len(piece) <= 65]
    assert len(chosen) >= 3
    columns = [[column[i] for i in chosen] for column in (split.pieces, split.piece_ids, split.styles)]
    return Split(*columns, split.encoding)


def is_note_on(word: str) -> bool:
    return word.count(":") == 2 and ":v0:" not in word


class TestByHand:
    def test_a_guess_costs_the_logarithm_of_the_vocabulary(self, guesser: MuseNet, short: Split) -> None:
        found = evaluate(guesser, short, 64, 2)
        nats = math.log(short.vocabulary.size)
        tokens = sum(len(piece) - HEADER for piece in short.pieces)
        words = [short.vocabulary.names[token] for piece in short.pieces for token in piece[HEADER:]]
        assert found.tokens == tokens
        assert found.nats_per_token == pytest.approx(nats, rel=1e-5)
        assert found.nats_per_note == pytest.approx(nats * tokens / sum(map(is_note_on, words)), rel=1e-5)

    def test_styles_are_told_apart(self, guesser: MuseNet, short: Split) -> None:
        # The network says "wait:1" in every place: cheap for the piece that is made of it.
        vocabulary = short.vocabulary
        wait = vocabulary.wait_base + 1
        with torch.no_grad():
            guesser.norm.bias.fill_(1.0)
            for parameter in guesser.embeddings.token.parameters():
                parameter.zero_()
            guesser.embeddings.token.own[wait] = 1.0  # the tied output: a logit of 32, all others 0
        quiet, busy = (short.pieces[0][:HEADER].tolist() + [token] * 10 for token in (wait, 5))
        pieces = [torch.tensor(piece).numpy().astype("uint16") for piece in (quiet, busy, busy)]
        found = evaluate(guesser, Split(pieces, ["", "", ""], ["bach", "jazz", None], short.encoding), 64, 2)
        assert found.by_style == pytest.approx({"(none)": 32, "bach": 0, "jazz": 32}, abs=1e-3)
        assert found.nats_per_token == pytest.approx(64 / 3, rel=1e-4)

    def test_the_batch_size_does_not_matter(self, make_model: Callable[..., MuseNet], split: Split) -> None:
        one, many = (evaluate(make_model(), split, 64, size) for size in (1, 7))
        assert one.tokens == many.tokens
        assert one.nats_per_token == pytest.approx(many.nats_per_token, rel=1e-5)
        assert one.by_style == pytest.approx(many.by_style, rel=1e-5)


class TestBehaviour:
    def test_it_is_always_the_same(self, make_model: Callable[..., MuseNet], split: Split) -> None:
        model = make_model(dropout=0.5)
        assert evaluate(model, split, 64, 4) == evaluate(model, split, 64, 4)

    @pytest.mark.parametrize("training", [True, False])
    def test_the_model_goes_on_as_it_was(
        self, training: bool, make_model: Callable[..., MuseNet], split: Split
    ) -> None:
        model = make_model().train(training)
        evaluate(model, split, 64, 4, limit=2)
        assert model.training is training
        assert all(parameter.grad is None for parameter in model.parameters())

    def test_at_most_so_many_windows(self, guesser: MuseNet, split: Split) -> None:
        found = [evaluate(guesser, split, 64, 4, limit=limit).tokens for limit in (1, 3, 1000, 2000)]
        assert found[0] < found[1] < found[2] == found[3]
        assert found[0] <= 65 - HEADER

    def test_ranks_share_the_work_and_know_the_whole(self, make_model: Callable[..., MuseNet], split: Split) -> None:
        alone = evaluate(make_model(), split, 64, 4, limit=None)
        shares: list[torch.Tensor] = []

        def add_up(sums: torch.Tensor) -> None:
            """What the ranks' sums come to, once the last of them is known."""
            shares.append(sums.clone())
            sums.copy_(torch.stack(shares).sum(0))

        *_, last = (evaluate(make_model(), split, 64, 4, None, rank, 3, add_up) for rank in range(3))
        assert last.tokens == alone.tokens
        assert last.nats_per_token == pytest.approx(alone.nats_per_token, rel=1e-6)
        assert last.by_style == pytest.approx(alone.by_style, rel=1e-6)

    def test_a_split_without_styles(self, guesser: MuseNet, short: Split, vocabulary: Vocabulary) -> None:
        found = evaluate(guesser, replace(short, styles=[None] * len(short.pieces)), 64, 4)
        assert list(found.by_style) == ["(none)"]


class TestLeaks:
    """Of pieces that a parent knows, the loss is given beside that of the clean ones."""

    def without(self, split: Split, names: set[str]) -> Split:
        kept = [i for i, name in enumerate(split.piece_ids) if name not in names]
        return Split(
            *([column[i] for i in kept] for column in (split.pieces, split.piece_ids, split.styles)), split.encoding
        )

    def test_both_figures_are_those_of_the_pieces(self, make_model: Callable[..., MuseNet], short: Split) -> None:
        model, known = make_model(), {short.piece_ids[0], short.piece_ids[2]}
        found = evaluate(model, short, 64, 2, leaked=frozenset(known))
        clean, every = evaluate(model, self.without(short, known), 64, 2), evaluate(model, short, 64, 2)
        assert (found.nats_per_token, found.nats_per_note) == pytest.approx((clean.nats_per_token, clean.nats_per_note))
        assert found.tokens == clean.tokens
        assert found.by_style == pytest.approx(clean.by_style)
        both = (found.nats_per_token_all, found.nats_per_note_all)
        assert both == pytest.approx((every.nats_per_token, every.nats_per_note))
        assert found.nats_per_token != pytest.approx(every.nats_per_token, abs=1e-6)

    def test_clean_pieces_get_as_many_windows_as_all(self, guesser: MuseNet, split: Split) -> None:
        for limit in (1, 2, 3):
            known = frozenset(split.piece_ids[:-2])
            found = evaluate(guesser, split, 64, 2, limit=limit, leaked=known)
            only = evaluate(guesser, self.without(split, set(known)), 64, 2, limit=100)
            assert 0 < found.tokens <= min(limit * (65 - HEADER), only.tokens)

    def test_where_none_or_all_leak_there_is_one_figure(self, make_model: Callable[..., MuseNet], split: Split) -> None:
        model = make_model()
        plain = evaluate(model, split, 64, 4)
        assert plain.nats_per_token_all is None
        assert evaluate(model, split, 64, 4, leaked=frozenset(["another"])) == plain
        assert evaluate(model, split, 64, 4, leaked=frozenset(split.piece_ids)) == plain
