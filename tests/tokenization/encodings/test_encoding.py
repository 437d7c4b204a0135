"""The interface: an encoding is one class that says how it differs; tokens, features and grammar follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from tokenization.encodings import HEADER, Encoding, learn_tokens
from tokenization.encodings.ending import Ending
from tokenization.encodings.grammar import Grammar
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens


class DrumsFirst(Encoding):
    """Toy: `combined` with the drum hits of a tick before its note-offs and notes."""

    name = "drums_first"
    version = 1
    writes_ends = True

    def tick_order(self) -> NDArray[np.int64]:
        order = super().tick_order()
        row = order // 128
        is_note = order < self.vocabulary.note_end
        is_drum = np.zeros(len(order), np.bool_)
        is_drum[is_note] = self.vocabulary.row_is_drum[row[is_note]]
        return np.concatenate([order[~is_note], order[is_drum], order[is_note & ~is_drum]])


class StartAndWait(Encoding):
    """Toy: `onset` with each pair of a note and the wait behind it as one token."""

    name = "start_and_wait"
    version = 1
    writes_ends = False
    learns = LearnedKind.MERGE

    def learn(self, pieces: Iterable[Tokens], count: int) -> LearnedTokens:
        pairs = {pair for tokens in pieces for pair in zip(tokens.tolist(), tokens[1:].tolist()) if self.is_pair(*pair)}
        return LearnedTokens(LearnedKind.MERGE, tuple(sorted(pairs)[:count]))

    def merge(self, tokens: Tokens) -> Tokens:
        ids = {pair: self.vocabulary.learned_base + index for index, pair in enumerate(self.vocabulary.learned.items)}
        out: list[int] = []
        for token in tokens.tolist():
            if out and (out[-1], token) in ids:
                out[-1] = ids[out[-1], token]
            else:
                out.append(token)
        return np.array(out, np.uint16)

    def is_pair(self, first: int, second: int) -> bool:
        return first < self.vocabulary.note_end and self.vocabulary.wait_base < second < self.vocabulary.start


@pytest.fixture
def notes(make_notes: Callable[..., Notes]) -> Notes:
    """Piano and drums in eighths of a second."""
    return make_notes(
        [(i / 8, 0.125, 60 + i % 5, 72, 0, False) for i in range(40)]
        + [(i / 4, 0.1, 36, 80, 0, True) for i in range(20)]
    )


@pytest.fixture(params=[DrumsFirst, StartAndWait])
def toy(request: pytest.FixtureRequest, vocabulary: Vocabulary, notes: Notes) -> Encoding:
    encoding: Encoding = request.param(vocabulary)
    return learn_tokens(encoding, [encoding.encode(notes)], 50)


class TestTokens:
    def test_the_order_of_a_tick_is_the_encodings(self, vocabulary: Vocabulary, notes: Notes) -> None:
        text = vocabulary.to_text(DrumsFirst(vocabulary).encode(notes)[HEADER : HEADER + 6])
        assert text == "drums:v80:C2 piano:v72:C4 wait:12 piano:v0:C4 piano:v72:C#4 wait:12"

    def test_learned_tokens_replace_what_they_stand_for(self, vocabulary: Vocabulary, notes: Notes) -> None:
        plain = StartAndWait(vocabulary)
        encoding = learn_tokens(plain, [plain.encode(notes)], 50)
        tokens = encoding.encode(notes)
        assert encoding.vocabulary.to_text(tokens[HEADER : HEADER + 2]) == "piano:v72:C4 drums:v80:C2+wait:12"
        assert encoding.expand(tokens).tolist() == plain.encode(notes).tolist()

    def test_decoding_gives_what_encoding_keeps(self, toy: Encoding, notes: Notes) -> None:
        decoded, kept = toy.decode(toy.encode(notes)), toy.quantised(notes)
        for column in ("onset", "duration", "pitch", "velocity", "program", "drum"):
            assert np.array_equal(getattr(decoded, column), getattr(kept, column))


class TestFeatures:
    def test_time_and_chords_follow_from_the_tokens(self, vocabulary: Vocabulary, notes: Notes) -> None:
        encoding = DrumsFirst(vocabulary)
        found = encoding.features(encoding.encode(notes))
        assert found.time[HEADER : HEADER + 6].tolist() == [0, 0, 12, 12, 12, 24]
        assert found.chord[HEADER : HEADER + 6].tolist() == [1, 2, 0, 1, 2, 0]

    def test_a_learned_token_does_what_its_parts_do(self, toy: Encoding, notes: Notes) -> None:
        tokens = toy.encode(notes)
        expanded = toy.expand(tokens)
        ends = np.cumsum(toy.vocabulary.expansion.sizes[tokens]) - 1
        whole, plain = toy.features(tokens), toy.features(expanded)
        assert whole.time.tolist() == plain.time[ends].tolist()
        assert whole.chord.tolist() == plain.chord[ends].tolist()


class TestGrammar:
    def test_all_that_is_encoded_is_allowed(self, toy: Encoding, notes: Notes) -> None:
        grammar = Grammar(toy, np.ones((1, len(toy.vocabulary.instruments)), np.bool_), Ending.open(1), 60.0)
        for position, token in enumerate(toy.encode(notes).tolist()):
            assert position < HEADER or grammar.allowed()[0, token], toy.vocabulary.names[token]
            grammar.advance(np.array([token]))
        assert grammar.finished.all()

    def test_the_order_of_a_tick_is_enforced(self, vocabulary: Vocabulary) -> None:
        encoding = DrumsFirst(vocabulary)
        grammar = Grammar(encoding, np.ones((1, len(vocabulary.instruments)), np.bool_), Ending.open(1), 60.0)
        drum, note = vocabulary.from_text("drums:v80:C2 piano:v72:C4").tolist()
        grammar.advance(np.array([note]))
        assert not grammar.allowed()[0, drum]
        grammar.advance(np.array([vocabulary.wait_base + 1]))
        assert grammar.allowed()[0, drum]
