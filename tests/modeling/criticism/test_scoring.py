"""Windows through the network: header and body from a position, whatever else is in the batch; and their scores."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from modeling.criticism import CriticHead, score, window_states
from modeling.criticism.scoring import BATCH
from modeling.data import Split
from modeling.network.transformer import MuseNet
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Tokens


class TestWindowStates:
    def test_they_are_the_trunk_s_over_each_piece_s_beginning(
        self, make_model: Callable[..., MuseNet], split: Split, encoding: Combined
    ) -> None:
        model = make_model(dropout=0.5)
        pieces = (split.pieces * 2)[: BATCH + 4]
        states, music = window_states(model, encoding, pieces, [len(piece) for piece in pieces], 48)
        assert states.shape == (BATCH + 4, 48, 32)
        assert music.sum(1).tolist() == [min(len(piece), 48) for piece in pieces]
        assert bool(music[0, : len(pieces[0])].all())
        alone, _ = window_states(model, encoding, pieces[-1:], [len(pieces[-1])], 48)
        torch.testing.assert_close(alone[0], states[-1])

    def test_how_a_piece_goes_on_does_not_count(
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
        later, music = window_states(model, encoding, [piece], [len(piece)], 32, start=40)
        torch.testing.assert_close(later[:, :4], first[:, :4])
        assert not torch.allclose(later[:, 4:], first[:, 4:])
        assert bool(music.all())
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
