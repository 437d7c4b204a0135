"""Ranking: by the critic, by likelihood, or not at all; and what a model without a critic can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeling.criticism import Estimate, judge
from modeling.generation import ModelBundle, NoCriticError, Request, compose, mean_log_likelihoods, resolve_rank
from modeling.generation.pruning import PRUNED_AT, prune_while_composing, pruned_tokens
from modeling.generation.turns import Turns, at_a_stretch

MakeRequest = Callable[..., Request]


def test_without_a_critic_several_candidates_need_another_ranking(
    bundle: ModelBundle, make_request: MakeRequest
) -> None:
    bare = replace(bundle, critic=None)
    with pytest.raises(NoCriticError, match="no critic to rank candidates by: take --rank likelihood or --rank none"):
        compose(bare, make_request(rank="critic"))
    (only,) = compose(bare, make_request(best_of=1))
    assert only.score is None
    first, *_ = compose(bare, make_request(rank="none"))
    assert first.index == 0
    assert first.tokens.tolist() == only.tokens.tolist()


BETTER, UNSURE = Estimate(0.8, 0.6, 0.9), Estimate(0.6, 0.45, 0.75)


def test_unless_asked_for_only_a_critic_that_beats_chance_ranks() -> None:
    assert resolve_rank("auto", BETTER) == "critic"
    assert [resolve_rank("auto", auc) for auc in (UNSURE, None)] == ["none", "none"]
    assert resolve_rank("critic", UNSURE) == "critic"
    assert resolve_rank("likelihood", BETTER) == "likelihood"


@pytest.mark.parametrize(("auc", "rank"), [(BETTER, "critic"), (UNSURE, "none"), (None, "none")])
def test_candidates_say_by_what_they_were_ranked(
    bundle: ModelBundle, make_request: MakeRequest, auc: Estimate | None, rank: str
) -> None:
    assert bundle.critic is not None
    found = compose(replace(bundle, critic=replace(bundle.critic, auc=auc)), make_request())
    assert {each.rank for each in found} == {rank}
    scores = [each.score for each in found]
    if rank == "critic":
        assert scores == sorted(scores, reverse=True)
    else:
        assert [each.index for each in found] == [0, 1, 2]


def test_what_nothing_ranks_is_not_pruned(bundle: ModelBundle, make_request: MakeRequest) -> None:
    assert len(compose(bundle, make_request(best_of=4, length=220, prune=True, rank="none"))) == 4


def test_likelihood_ranks_by_the_mean_over_tokens(bundle: ModelBundle, make_request: MakeRequest) -> None:
    found = compose(bundle, make_request(best_of=5, rank="likelihood"))
    values = [candidate.likelihood for candidate in found]
    assert values == sorted(values, reverse=True)
    expected = mean_log_likelihoods(bundle.model, bundle.encoding, [c.tokens for c in found], [40] * 5)
    assert values == pytest.approx(expected)
    assert all(candidate.score is not None for candidate in found), "the critic is asked all the same"


def test_a_likelihood_counts_every_token_of_the_body_once(bundle: ModelBundle, make_request: MakeRequest) -> None:
    (piece,) = compose(bundle, make_request(best_of=1, length=150))
    assert len(piece.tokens) > bundle.model.config.context
    (whole,) = mean_log_likelihoods(bundle.model, bundle.encoding, [piece.tokens], [150])
    assert -np.log(bundle.vocabulary.size) * 2 < whole < 0
    flat = replace(bundle, model=bundle.model)
    with torch.no_grad():
        again = mean_log_likelihoods(flat.model, bundle.encoding, [piece.tokens, piece.tokens], [150, 150])
    assert again == pytest.approx([whole, whole], rel=1e-5)


def test_the_curve_is_the_critic_s_judgement_along_the_piece(bundle: ModelBundle, make_request: MakeRequest) -> None:
    best, *_ = compose(bundle, make_request(length=100))
    assert bundle.critic is not None
    (judged,) = judge(bundle.critic, bundle.encoding, [best.tokens], [100])
    assert [tokens for tokens, _ in best.curve] == judged.ends.tolist()
    assert best.curve[-1][0] == len(best.tokens)
    assert best.score == pytest.approx(judged.score, rel=1e-5)


class TestPruning:
    def test_what_is_left_are_candidates_as_they_would_have_been(
        self, bundle: ModelBundle, make_request: MakeRequest
    ) -> None:
        asked = make_request(best_of=6, length=220, rank="critic")
        whole = {c.index: c.tokens.tolist() for c in compose(bundle, asked)}
        told: list[tuple[int, int]] = []
        pruned = compose(bundle, replace(asked, prune=True), lambda done, total: told.append((done, total)))
        assert len(pruned) == 1
        assert pruned[0].tokens.tolist() == whole[pruned[0].index]
        assert told[-1][0] <= told[-1][1] == pruned_tokens(6, 4, 220)
        assert told == sorted(told)

    def test_short_pieces_are_not_pruned(self, bundle: ModelBundle, make_request: MakeRequest) -> None:
        asked = make_request(best_of=3, length=40)
        assert [c.index for c in compose(bundle, replace(asked, prune=True))] == [
            c.index for c in compose(bundle, asked)
        ]

    def test_the_worse_half_goes_each_time_and_ended_pieces_stay_as_they_are(self) -> None:
        end = 99

        def generated(pieces: list[np.ndarray], numbers: list[int], stop: int | None) -> Turns[list[np.ndarray]]:
            until = 300 if stop is None else stop
            yield None
            return [
                np.array([*piece, end]) if number == 7 else np.full(until, number)
                for piece, number in zip(pieces, numbers)
            ]

        asked: list[int] = []

        def ranked(pieces: list[np.ndarray]) -> list[float]:
            asked.append(len(pieces))
            return [1000.0 if piece[-1] == end else float(piece[-1]) for piece in pieces]

        pieces, left = at_a_stretch(
            prune_while_composing(
                np.zeros(4, np.int64), range(8), 300, generated, ranked, lambda piece: int(piece[-1]) == end
            )
        )
        assert asked == [8, 4, 2]
        assert left == [7]
        assert pieces[0].tolist() == [0, 0, 0, 0, end]

    def test_the_tokens_of_all_halves_add_up(self) -> None:
        assert PRUNED_AT == (64, 128, 192)
        assert pruned_tokens(32, 4, 1024) == 32 * 64 + 16 * 64 + 8 * 64 + 4 * (1024 - 4 - 192)
        assert pruned_tokens(1, 4, 1024) == 1020
