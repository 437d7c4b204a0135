"""Collation: windows of pieces as inputs and targets, with the features that tokens have in the whole piece."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.data import Split, collate
from modeling.network.loss import IGNORED
from tokenization.encodings import HEADER
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Tokens, Vocabulary

QUICK = settings(max_examples=25, deadline=None)

FEATURES = ("time", "chord", "part", "countdown")


class TestCollate:
    def test_targets_are_the_next_tokens_of_the_music(
        self, make_piece: Callable[..., Tokens], vocabulary: Vocabulary, encoding: Combined
    ) -> None:
        pieces = [make_piece(30, 0), make_piece(2, 1)]
        long, short = pieces
        batch, targets = collate(pieces, [0, 0], 32, encoding)
        assert batch.tokens.shape == targets.shape == (2, 32)
        assert batch.tokens[0].tolist() == long[:32].tolist()
        assert targets[0].tolist() == [*[IGNORED] * (HEADER - 1), *long[HEADER:33].tolist()]
        rest = 32 - len(short) + 1
        assert targets[1].tolist() == [*[IGNORED] * (HEADER - 1), *short[HEADER:].tolist(), *[IGNORED] * rest]
        assert targets[1, len(short) - 2] == vocabulary.end
        assert batch.tokens[1, len(short) :].tolist() == [vocabulary.pad] * (32 - len(short))

    @QUICK
    @given(data=st.data())
    def test_the_target_of_a_position_is_the_next_input(
        self, data: st.DataObject, split: Split, vocabulary: Vocabulary, encoding: Combined
    ) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(split.pieces) - 1), min_size=1, max_size=4))
        pieces = [split.pieces[i] for i in chosen]
        starts = [data.draw(st.integers(0, len(piece) - HEADER - 1)) for piece in pieces]
        batch, targets = collate(pieces, starts, 24, encoding)
        counted = targets[:, :-1] != IGNORED
        assert targets[:, :-1][counted].tolist() == batch.tokens[:, 1:][counted].tolist()
        assert not bool(counted[:, : HEADER - 1].any())
        assert vocabulary.pad not in targets

    def test_features_are_those_of_the_whole_piece(self, split: Split, encoding: Combined) -> None:
        piece = split.pieces[-1]
        start = len(piece) // 2
        batch, _ = collate([piece], [start], 24, encoding)
        marks = encoding.features(piece)
        where = [0, 1, 2, 3, *range(HEADER + start, start + 24)]
        for field in FEATURES:
            assert getattr(batch, field)[0].tolist() == getattr(marks, field)[where].tolist(), field
        assert batch.part[0, -1] > 60

    def test_a_piece_may_be_known_only_in_part(self, split: Split, encoding: Combined) -> None:
        piece = split.pieces[-1]
        whole, _ = collate([piece], [0], 24, encoding)
        cut, _ = collate([piece[:25]], [0], 24, encoding, lengths=[len(piece)])
        assert all(torch.equal(x, y) for x, y in zip(whole[:5], cut[:5], strict=True))
