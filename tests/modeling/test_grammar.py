"""Grammar: which tokens may follow, word by word."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.generation import playable_instruments
from modeling.grammar import MAX_REST_TICKS, Grammar
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Tokens, Vocabulary

LONGEST_NOTE = 64 * 32
"""Ticks."""
PIANO, VIOLIN, CELLO, DRUMS = range(4)


def grammar_of(vocabulary: Vocabulary, *playable: int, batch: int = 1, earliest_end: int = 0) -> Grammar:
    mask = torch.zeros(batch, len(vocabulary.instruments), dtype=torch.bool)
    mask[:, list(playable)] = True
    return Grammar(vocabulary, mask, LONGEST_NOTE, torch.full((batch,), earliest_end))


def take(grammar: Grammar, text: str) -> Grammar:
    """Takes in words, the same in every piece."""
    for token in grammar.vocabulary.from_text(text).tolist():
        grammar.advance(torch.full((len(grammar.finished),), token))
    return grammar


def allows(grammar: Grammar, word: str, piece: int = 0) -> bool:
    return bool(grammar.allowed()[piece, int(grammar.vocabulary.from_text(word)[0])])


class TestNotes:
    def test_at_first_notes_may_start_and_none_may_end(self, vocabulary: Vocabulary) -> None:
        grammar = grammar_of(vocabulary, PIANO, VIOLIN, CELLO, DRUMS)
        allowed = grammar.allowed()[0, : vocabulary.note_end].view(-1, 128)
        assert allowed.all(1).tolist() == (vocabulary.row_velocity > 0).tolist()
        assert allowed.any(1).tolist() == allowed.all(1).tolist()

    def test_a_sounding_note_may_end_but_not_start_again(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO), "piano:v64:C4 wait:1")
        assert allows(grammar, "piano:v0:C4")
        assert not allows(grammar, "piano:v64:C4")
        assert not allows(grammar, "piano:v100:C4")
        assert allows(grammar, "piano:v100:C#4")
        assert not allows(grammar, "piano:v0:C#4")

    def test_an_ended_note_may_start_again(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO), "piano:v64:C4 wait:3 piano:v0:C4")
        assert allows(grammar, "piano:v100:C4")
        assert not allows(grammar, "piano:v0:C4")

    def test_each_instrument_has_its_own_notes(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, VIOLIN, CELLO), "violin:v80:C4 wait:1")
        assert not allows(grammar, "cello:v0:C4")
        assert allows(grammar, "cello:v80:C4")

    def test_drums_repeat_without_an_end(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, DRUMS), "drums:v80:C2 wait:1")
        assert allows(grammar, "drums:v80:C2")

    def test_only_the_asked_for_instruments_play(self, vocabulary: Vocabulary) -> None:
        grammar = grammar_of(vocabulary, VIOLIN)
        assert allows(grammar, "violin:v80:C4")
        for word in ("piano:v64:C4", "cello:v80:C4", "drums:v80:C2"):
            assert not allows(grammar, word)

    def test_a_note_of_the_prompt_may_end_whatever_was_asked_for(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO), "violin:v80:C4 wait:1")
        assert allows(grammar, "violin:v0:C4")
        assert not allows(grammar, "violin:v80:D4")


class TestOtherWords:
    @pytest.mark.parametrize(
        "word", ["start", "end_sample", "piano", "piano_strings_drums", "bach", "tempo120", "pad", "no_style"]
    )
    def test_what_stands_in_headers_never_follows(self, word: str, vocabulary: Vocabulary) -> None:
        assert not allows(take(grammar_of(vocabulary, PIANO), "bach piano start tempo120"), word)

    def test_the_end_may_follow_at_any_time(self, vocabulary: Vocabulary) -> None:
        assert allows(grammar_of(vocabulary, PIANO), "end")
        assert allows(take(grammar_of(vocabulary, PIANO), "piano:v64:C4 wait:3"), "end")

    def test_behind_the_end_there_is_only_padding(self, vocabulary: Vocabulary) -> None:
        grammar = grammar_of(vocabulary, PIANO, batch=2)
        grammar.advance(torch.tensor([vocabulary.end, vocabulary.wait_base + 1]))
        assert grammar.finished.tolist() == [True, False]
        assert grammar.allowed()[0].nonzero().flatten().tolist() == [vocabulary.pad]
        assert allows(grammar, "wait:1", piece=1)


class TestSilence:
    def test_waits_of_every_length_may_follow(self, vocabulary: Vocabulary) -> None:
        grammar = grammar_of(vocabulary, PIANO)
        assert all(allows(grammar, f"wait:{ticks}") for ticks in range(1, vocabulary.max_wait + 1))

    def test_after_four_seconds_of_silence_something_must_happen(self, vocabulary: Vocabulary) -> None:
        rest = " ".join(["wait:32"] * (MAX_REST_TICKS // 32 - 1))
        grammar = take(grammar_of(vocabulary, PIANO), rest)
        assert allows(grammar, "wait:1")
        take(grammar, "wait:32")
        assert not any(allows(grammar, f"wait:{ticks}") for ticks in (1, 32))
        assert allows(grammar, "piano:v64:C4")
        assert allows(grammar, "end")

    def test_a_note_breaks_the_silence(self, vocabulary: Vocabulary) -> None:
        rest = " ".join(["wait:32"] * (MAX_REST_TICKS // 32))
        grammar = take(grammar_of(vocabulary, PIANO), f"{rest} piano:v64:C4 wait:32 piano:v0:C4")
        assert allows(grammar, "wait:32")

    def test_a_held_note_is_no_silence(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO), "piano:v64:C4 " + " ".join(["wait:32"] * 40))
        assert allows(grammar, "wait:32")


class TestOrder:
    """What happens at one time comes as the encoding writes it."""

    def test_notes_rise_within_a_chord(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO, VIOLIN), "piano:v64:C4")
        assert allows(grammar, "piano:v64:C#4")
        assert not allows(grammar, "piano:v64:B3")
        assert not allows(grammar, "violin:v80:C4"), "the encoding writes the violin before the piano"
        assert allows(take(grammar, "wait:1"), "piano:v64:B3")

    def test_note_offs_come_first_so_that_no_note_has_no_length(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO), "piano:v64:C4 wait:1 piano:v64:E4")
        assert not allows(grammar, "piano:v0:C4")
        assert not allows(grammar, "piano:v0:E4")

    def test_drums_come_last(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO, DRUMS), "drums:v80:C2")
        assert not allows(grammar, "piano:v64:C4")
        assert allows(grammar, "drums:v80:D2")


class TestEnd:
    def test_it_may_follow_from_the_earliest_end_on(self, vocabulary: Vocabulary) -> None:
        grammar = take(grammar_of(vocabulary, PIANO, earliest_end=3), "piano:v64:C4 wait:1")
        assert not allows(grammar, "end")
        assert allows(take(grammar, "piano:v0:C4"), "end")


class TestLongNotes:
    def test_time_stands_still_until_a_note_that_lasts_too_long_has_ended(self, vocabulary: Vocabulary) -> None:
        almost = " ".join(["wait:32"] * (LONGEST_NOTE // 32 - 1))
        grammar = take(grammar_of(vocabulary, PIANO), f"piano:v64:C4 {almost}")
        assert allows(grammar, "wait:32")
        take(grammar, "wait:32")
        assert not allows(grammar, "wait:1")
        assert allows(grammar, "piano:v0:C4")
        assert allows(grammar, "end")
        take(grammar, "piano:v0:C4")
        assert allows(grammar, "wait:32")

    def test_a_note_struck_again_counts_from_then_on(self, vocabulary: Vocabulary) -> None:
        almost = " ".join(["wait:32"] * (LONGEST_NOTE // 32 - 1))
        again = f"piano:v64:C4 {almost} piano:v0:C4 piano:v64:C4 {almost}"
        assert allows(take(grammar_of(vocabulary, PIANO), again), "wait:32")


class TestPlayable:
    def test_instrumentation_tokens_name_groups_of_instruments(self, vocabulary: Vocabulary) -> None:
        asked = [["piano"], ["strings"], ["drums", "piano"], ["drums", "strings", "piano"]]
        tokens = np.array([vocabulary.instrumentation_id(vocabulary.group_mask(names)) for names in asked])
        assert playable_instruments(vocabulary, tokens).astype(int).tolist() == [
            [1, 0, 0, 0],
            [0, 1, 1, 0],
            [1, 0, 0, 1],
            [1, 1, 1, 1],
        ]


class TestEncodings:
    @settings(max_examples=20, deadline=None)
    @given(count=st.integers(1, 40), seed=st.integers(0, 1000))
    def test_whatever_the_encoding_writes_is_grammatical(
        self, count: int, seed: int, make_piece: object, vocabulary: Vocabulary, encoding: Combined
    ) -> None:
        piece: Tokens = make_piece(count, seed)  # type: ignore[operator]
        playable = torch.from_numpy(playable_instruments(vocabulary, piece[1:2].astype(np.int64)))
        grammar = Grammar(vocabulary, playable, LONGEST_NOTE, torch.zeros(1))
        for position, token in enumerate(piece.tolist()):
            if position >= 4:
                assert bool(grammar.allowed()[0, token]), vocabulary.names[token]
            grammar.advance(torch.tensor([token]))
        assert not bool(grammar.sounding.any())
        assert bool(grammar.finished[0])
