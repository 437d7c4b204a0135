"""The inner critic: it tells apart what differs, guesses where nothing does, and hears only music."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modeling.data.batches import Split
from modeling.network.critic import BATCH, CriticConfig, CriticHead, score, train_critic, window_states
from modeling.network.transformer import MuseNet
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Tokens

WIDTH, SIZE = 16, 12
CONFIG = CriticConfig(window=SIZE, hidden=16, epochs=15)


def labelled(count: int, difference: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random states; those of real windows differ in one direction, by so many standard deviations."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(count, SIZE, WIDTH, generator=generator)
    real = torch.arange(count) % 2 == 0
    states[real, :, 0] += difference
    heard = torch.ones(count, SIZE, dtype=torch.bool)
    return states, heard, real


class TestLearning:
    def test_what_differs_is_told_apart(self) -> None:
        judged = train_critic(CONFIG, labelled(120, 2.0, 0), labelled(80, 2.0, 1), seed=0)
        assert judged.auc > 0.97
        assert judged.train_auc > 0.97
        assert judged.held_out == 80

    def test_where_nothing_differs_it_guesses(self) -> None:
        judged = train_critic(CONFIG, labelled(120, 0.0, 0), labelled(400, 0.0, 1), seed=0)
        # 200 against 200: the AUC of a guess has a standard deviation of 0.03
        assert 0.4 < judged.auc < 0.6

    def test_high_logits_mean_real(self) -> None:
        states, heard, real = labelled(40, 3.0, 2)
        head = train_critic(CONFIG, labelled(120, 3.0, 0), (states, heard, real), seed=0).head
        logits = head(states, heard)
        assert logits.shape == (40,)
        assert (logits[real].min() > logits[~real].max()).item()
        assert not head.training

    def test_a_seed_gives_the_same_critic(self) -> None:
        first, second, other = (
            train_critic(CONFIG, labelled(40, 1.0, 0), labelled(40, 1.0, 1), seed=seed) for seed in (4, 4, 5)
        )
        assert torch.equal(first.head.judge.weight, second.head.judge.weight)
        assert first.auc == second.auc
        assert not torch.equal(first.head.judge.weight, other.head.judge.weight)

    def test_progress_is_told_after_every_epoch(self) -> None:
        told: list[tuple[int, int]] = []
        config = CONFIG.model_copy(update={"epochs": 3})
        data = labelled(20, 1.0, 0)
        train_critic(config, data, data, seed=0, on_progress=lambda done, total: told.append((done, total)))
        assert told == [(1, 3), (2, 3), (3, 3)]


class TestHearing:
    def test_positions_without_music_are_not_heard(self) -> None:
        torch.manual_seed(0)
        head = CriticHead(WIDTH, 8)
        states, heard, _ = labelled(6, 0.0, 0)
        heard[:, 7:] = False
        changed = states.clone()
        changed[:, 7:] = 100.0
        assert torch.equal(head(changed, heard), head(states, heard))
        torch.testing.assert_close(head(states, heard), head(states[:, :7], heard[:, :7]))

    def test_states_of_16_bits_are_judged_in_32(self) -> None:
        states, heard, _ = labelled(2, 0.0, 0)
        assert CriticHead(WIDTH, 8)(states.bfloat16(), heard).dtype == torch.float32


class TestWindowStates:
    def test_they_are_the_trunk_s_over_each_piece_s_beginning(
        self, make_model: Callable[..., MuseNet], split: Split, encoding: Combined
    ) -> None:
        model = make_model(dropout=0.5)
        pieces = (split.pieces * 2)[: BATCH + 4]
        states, heard = window_states(model, encoding, pieces, [len(piece) for piece in pieces], 48)
        assert states.shape == (BATCH + 4, 48, 32)
        assert heard.sum(1).tolist() == [min(len(piece), 48) for piece in pieces]
        assert bool(heard[0, : len(pieces[0])].all())
        alone, _ = window_states(model, encoding, pieces[-1:], [len(pieces[-1])], 48)
        torch.testing.assert_close(alone[0], states[-1])

    def test_how_a_piece_goes_on_is_not_heard(
        self, make_model: Callable[..., MuseNet], make_piece: Callable[..., Tokens], encoding: Combined
    ) -> None:
        model, piece = make_model(), make_piece(60)
        whole, _ = window_states(model, encoding, [piece], [len(piece)], 32)
        cut, _ = window_states(model, encoding, [piece[:32]], [len(piece)], 32)
        assert torch.equal(whole, cut)

    def test_a_later_window_is_header_and_body_from_there_on(
        self, make_model: Callable[..., MuseNet], make_piece: Callable[..., Tokens], encoding: Combined
    ) -> None:
        model, piece = make_model(), make_piece(60)
        first, _ = window_states(model, encoding, [piece], [len(piece)], 32)
        later, heard = window_states(model, encoding, [piece], [len(piece)], 32, start=40)
        torch.testing.assert_close(later[:, :4], first[:, :4])
        assert not torch.allclose(later[:, 4:], first[:, 4:])
        assert bool(heard.all())
        same, _ = window_states(model, encoding, [piece[: 40 + 32]], [len(piece)], 32, start=40)
        assert torch.equal(same, later)

    def test_scores_are_probabilities_in_the_pieces_order(
        self, make_model: Callable[..., MuseNet], split: Split, encoding: Combined
    ) -> None:
        model = make_model()
        torch.manual_seed(0)
        head = CriticHead(32, 8)
        lengths = [len(piece) for piece in split.pieces]
        scores = score(model, head, encoding, split.pieces, lengths, 32)
        assert all(0 < value < 1 for value in scores)
        backwards = score(model, head, encoding, split.pieces[::-1], lengths[::-1], 32)
        assert backwards[::-1] == pytest.approx(scores, rel=1e-5)
