"""The note encoding by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tokenization.encodings import HEADER, Encoding, get_encoding
from tokenization.encodings.ending import Ending
from tokenization.encodings.grammar import Grammar
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

MakeNotes = Callable[..., Notes]
PIANO = 0


@pytest.fixture(scope="module")
def encoding(vocabulary: Vocabulary) -> Encoding:
    return get_encoding("note", vocabulary)


def test_each_note_is_followed_by_its_length(encoding: Encoding, make_notes: MakeNotes) -> None:
    rows = [
        (0, 0.5, 60, 72, 0, False),
        (0, 2.0, 64, 72, 0, False),
        (0.5, 0.25, 67, 100, 40, False),
        (1, 0, 36, 9, 0, True),
    ]
    tokens = encoding.encode(make_notes(rows), "bach")
    assert encoding.vocabulary.to_text(tokens) == (
        "bach piano_strings_drums start tempo120 piano:v72:C4 length:48 piano:v72:E4 length:192 "
        "wait:48 violin:v80:G4 length:24 wait:48 drums:v80:C2 end"
    )


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        # onset and length in ticks, pitch
        ("piano:v72:C4 length:24 wait:12 piano:v72:D4 length:2", [(0, 24, 60), (12, 2, 62)]),
        ("piano:v72:C4 length:24 wait:12 piano:v72:C4 length:24", [(0, 12, 60), (12, 24, 60)]),
        ("piano:v72:C4 wait:12 length:24", [(0, 1, 60)]),
        ("piano:v72:C4 length:24 length:48", [(0, 24, 60)]),
        ("piano:v72:C4 length:24 wait:12 piano:v0:C4", [(0, 24, 60)]),
        ("length:24 drums:v80:C2 length:24", [(0, 12, 36)]),
    ],
    ids=[
        "notes overlap",
        "a pitch that starts anew ends",
        "a length stands behind its note",
        "there is one",
        "note-offs mean nothing",
        "drums have none",
    ],
)
def test_decoding(text: str, notes: list[tuple[int, int, int]], encoding: Encoding) -> None:
    found = encoding.decode(encoding.vocabulary.from_text(f"bach piano start tempo120 {text} end"))
    times = ((column * 96).round().astype(int).tolist() for column in (found.onset, found.duration))
    assert list(zip(*times, found.pitch.tolist())) == notes


@pytest.mark.parametrize(
    ("ticks", "length"),
    [(0, 1), (1, 1), (96, 96), (97, 96), (98, 98), (194, 192), (195, 196), (1536, 1536), (5000, 1536)],
)
def test_lengths_are_exact_for_a_second_and_then_steps_of_an_octave(
    ticks: int, length: int, encoding: Encoding, make_notes: MakeNotes
) -> None:
    notes = encoding.quantised(make_notes([(0, ticks / 96, 60, 72, 0, False)]))
    assert round(float(notes.duration[0]) * 96) == length


def test_a_rounded_length_does_not_reach_the_next_start_of_the_pitch(encoding: Encoding, make_notes: MakeNotes) -> None:
    notes = make_notes([(0, 97 / 96, 60, 72, 0, False), (97 / 96, 1, 60, 72, 0, False)])
    assert (encoding.quantised(notes).duration * 96).round().astype(int).tolist() == [96, 96]


def test_the_ids_of_the_vocabulary_stay(vocabulary: Vocabulary, encoding: Encoding) -> None:
    assert encoding.vocabulary.names[: vocabulary.size] == vocabulary.names
    assert encoding.vocabulary.names[vocabulary.size] == "length:1"
    assert Vocabulary.from_json(encoding.vocabulary.to_json()) == encoding.vocabulary


@pytest.mark.parametrize("items", [((2,),), ((1,), (1,)), ((1,), (3,), (2,)), ((1, 2),)])
def test_lengths_ascend_from_one(items: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(VocabularyError, match="lengths must be single numbers of ticks that ascend from 1"):
        LearnedTokens(LearnedKind.LENGTH, items)


class TestGrammar:
    """Rules of lengths; all others are those of every encoding."""

    @pytest.fixture
    def grammar(self, encoding: Encoding) -> Grammar:
        playable = np.zeros((1, len(encoding.vocabulary.instruments)), np.bool_)
        playable[0, PIANO] = True
        return Grammar(encoding, playable, Ending.open(1), longest_note=2.0)

    def allowed(self, grammar: Grammar, text: str) -> set[str]:
        vocabulary = grammar.encoding.vocabulary
        for token in vocabulary.from_text(text).tolist():
            grammar.advance(np.array([token]))
        return {vocabulary.names[token] for token in np.flatnonzero(grammar.allowed()[0])}

    def test_behind_a_note_comes_a_length_that_is_not_too_long(self, grammar: Grammar) -> None:
        assert self.allowed(grammar, "piano:v72:C4") == {
            f"length:{ticks}" for ticks in [*range(1, 97), *range(98, 193, 2)]
        }

    def test_elsewhere_there_is_none(self, grammar: Grammar) -> None:
        assert not any(name.startswith("length") for name in self.allowed(grammar, "piano:v72:C4 length:9"))

    def test_a_pitch_starts_again_when_its_length_is_over(self, grammar: Grammar) -> None:
        assert "piano:v80:C4" not in self.allowed(grammar, "piano:v72:C4 length:9 wait:8")
        assert grammar.voices.tolist() == [1]
        assert "piano:v80:C4" in self.allowed(grammar, "piano:v72:D4 length:1 wait:1")
        assert grammar.voices.tolist() == [0]

    def test_silence_begins_where_the_last_note_ends(self, grammar: Grammar) -> None:
        allowed = self.allowed(grammar, "piano:v72:C4 length:90 piano:v72:D4 length:9 wait:128 wait:128 wait:128")
        # Four seconds are 384 ticks, 294 of which have passed.
        assert "wait:90" in allowed
        assert "wait:91" not in allowed

    def test_it_begins_within_a_wait(self, encoding: Encoding) -> None:
        playable = np.ones((1, len(encoding.vocabulary.instruments)), np.bool_)
        grammar = Grammar(encoding, playable, Ending.open(1), longest_note=2.0, longest_rest=1.0)
        allowed = self.allowed(grammar, "piano:v72:C4 length:20")
        assert "wait:116" in allowed
        assert "wait:117" not in allowed
        assert "wait:1" not in self.allowed(grammar, "wait:116")

    def test_the_piece_may_end_while_notes_ring_but_not_before_their_length(self, grammar: Grammar) -> None:
        assert "end" not in self.allowed(grammar, "piano:v72:C4")
        assert "end" in self.allowed(grammar, "length:96")

    def test_a_note_starts_only_if_its_length_has_room(self, encoding: Encoding) -> None:
        playable = np.ones((1, len(encoding.vocabulary.instruments)), np.bool_)
        grammar = Grammar(encoding, playable, Ending.within(np.zeros(1), np.array([6])), longest_note=2.0)
        words = "piano:v72:C4 length:4"
        assert "piano:v72:E4" in self.allowed(grammar, words)
        assert self.allowed(grammar, "piano:v72:E4 length:4 drums:v80:C2") == {"end"}

    def test_the_last_note_rings_no_longer_than_the_piece(self, encoding: Encoding) -> None:
        playable = np.ones((1, len(encoding.vocabulary.instruments)), np.bool_)
        ending = Ending(*(np.array([bound]) for bound in (0, 100, 50, 60)))
        grammar = Grammar(encoding, playable, ending, longest_note=2.0)
        lengths = self.allowed(grammar, "piano:v72:C4 length:9 wait:49 piano:v72:D4")
        assert lengths == {f"length:{ticks}" for ticks in range(1, 12)}
        assert self.allowed(grammar, "length:11 wait:11") == {"end"}


def test_header_and_size(encoding: Encoding, make_notes: MakeNotes) -> None:
    notes = make_notes([(i, 0.5, 60, 72, 0, False) for i in range(10)])
    assert len(encoding.encode(notes)) - HEADER - 1 == 29
