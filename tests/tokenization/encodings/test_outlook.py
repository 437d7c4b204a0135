"""The outlook of pieces: by hand, and in real pieces against what their notes say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.encodings import HEADER, Encoding, Time, get_encoding
from tokenization.encodings.ending import Ending
from tokenization.encodings.grammar import Grammar
from tokenization.encodings.rules import NO_BOUND
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

FOR_EVER = 1e9
"""Seconds."""
CHORD = "piano:v72:C4 length:20 piano:v72:E4 length:8 piano:v72:G4 length:12"


@pytest.fixture(scope="module")
def note(vocabulary: Vocabulary) -> Encoding:
    return get_encoding("note", vocabulary)


@pytest.fixture(scope="module")
def combined(vocabulary: Vocabulary) -> Encoding:
    return get_encoding("combined", vocabulary)


def after(encoding: Encoding, words: str, tokens: int | None = None) -> Grammar:
    """The grammar of a piece behind its header and these words; `tokens`: its most tokens."""
    everyone = np.ones((1, len(encoding.vocabulary.instruments)), np.bool_)
    ending = Ending.open(1) if tokens is None else Ending.within(np.array([tokens]), np.array([tokens]))
    grammar = Grammar(encoding, everyone, ending, FOR_EVER)
    for token in encoding.vocabulary.from_text(f"bach piano start tempo120 {words}").tolist():
        grammar.advance(np.array([token]))
    return grammar


class TestLeastWait:
    @pytest.mark.parametrize(("most", "ticks"), [(1, 20), (2, 12), (3, 8), (4, 0), (None, 0)])
    def test_is_until_fewer_sound_than_may(self, most: int | None, ticks: int, note: Encoding) -> None:
        assert after(note, CHORD).outlook(most).least_wait.tolist() == [ticks]

    def test_shrinks_as_time_passes(self, note: Encoding) -> None:
        assert after(note, f"{CHORD} wait:5").outlook(2).least_wait.tolist() == [7]
        assert after(note, f"{CHORD} wait:12").outlook(2).least_wait.tolist() == [0]

    def test_is_endless_where_it_takes_more_tokens_than_are_left(self, note: Encoding) -> None:
        """A wait, perhaps a tempo, a note, its length and the end: five behind the ten that are there."""
        assert after(note, CHORD, tokens=HEADER + 6 + 5).outlook(2).least_wait.tolist() == [12]
        assert after(note, CHORD, tokens=HEADER + 6 + 4).outlook(2).least_wait.tolist() == [NO_BOUND]

    def test_is_unknown_where_ends_are_written_when_they_come(self, combined: Encoding) -> None:
        assert after(combined, "piano:v72:C4 piano:v72:E4").outlook(1).least_wait.tolist() == [0]


class TestMayStop:
    @pytest.mark.parametrize(
        ("words", "may"),
        [
            ("", True),
            ("piano:v72:C4", False),
            ("piano:v72:C4 length:20", True),
            ("piano:v72:C4 length:20 wait:3", False),
            ("piano:v72:C4 length:20 end", False),
        ],
    )
    def test_at_first_and_behind_a_whole_note_while_it_rings(self, words: str, may: bool, note: Encoding) -> None:
        assert after(note, words).outlook().may_stop.tolist() == [may]

    def test_not_while_a_note_has_still_to_be_ended(self, combined: Encoding) -> None:
        assert not after(combined, "piano:v72:C4 wait:3").outlook().may_stop
        assert after(combined, "piano:v72:C4 wait:3 piano:v0:C4").outlook().may_stop


def random_notes(seed: int) -> Notes:
    """Twenty-four notes in three seconds, some of them long, for piano, violin and drums."""
    random, count = np.random.default_rng(seed), 24
    return Notes.from_columns(
        random.uniform(0, 3, count),
        random.uniform(0.05, 2, count),
        random.integers(48, 73, count),
        random.integers(1, 128, count),
        random.choice((0, 0, 40), count),
        random.random(count) < 0.1,
    )


@pytest.mark.parametrize(
    ("name", "time"), [("note", Time.BEATS), ("note", Time.SECONDS), ("combined", Time.BEATS), ("onset", Time.SECONDS)]
)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 5))
def test_in_real_pieces(name: str, time: Time, seed: int, most: int, vocabulary: Vocabulary) -> None:
    """Along a batch of pieces the outlook is what their notes so far say, tick by tick."""
    encoding = get_encoding(name, vocabulary, time)
    pieces = [encoding.encode(random_notes(seed + number)) for number in range(2)]
    playable = np.ones((len(pieces), len(encoding.vocabulary.instruments)), np.bool_)
    grammar = Grammar(encoding, playable, Ending.open(len(pieces)), FOR_EVER)
    for position, tokens in enumerate(zip(*pieces)):
        if position >= HEADER:
            outlook = grammar.outlook(most)
            assert outlook.sounding.tolist() == grammar.sounding.sum(axis=(1, 2)).tolist()
            ends = grammar.allowed()[:, encoding.vocabulary.end]
            assert outlook.may_stop.tolist() == ends.tolist()
            for row, piece in enumerate(pieces):
                grid = encoding.read(piece[:position])
                pitched = ~encoding.vocabulary.row_is_drum[grid.row] & encoding.writes_lengths
                left = np.sort(grid.end[pitched] - grammar.now[row])
                wait = 0
                while (left > wait).sum() >= most:
                    wait += 1
                assert outlook.least_wait[row] == wait
        grammar.advance(np.array(tokens, np.int64))
