"""The chordwise encoding by hand: chords that are known, chords that are not, and which are learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tokenization.encodings import HEADER, get_encoding
from tokenization.encodings.chordwise import Chordwise
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

MakeNotes = Callable[..., Notes]
C4, D4, E4, G4, BASS_DRUM = "piano:v72:C4", "piano:v72:D4", "piano:v72:E4", "piano:v72:G4", "drums:v80:C2"
HELD_E4 = "piano:v0:E4"


def over(vocabulary: Vocabulary, *chords: list[str]) -> Chordwise:
    """The encoding with these chords."""
    items = tuple(tuple(sorted(vocabulary.from_text(" ".join(chord)).tolist())) for chord in chords)
    return Chordwise(replace(vocabulary, learned=LearnedTokens(LearnedKind.CHORD, items)))


def plain(vocabulary: Vocabulary, body: str) -> Tokens:
    return vocabulary.from_text(f"bach piano start tempo120 {body} end")


def shortened(encoding: Chordwise, body: str) -> str:
    vocabulary = encoding.vocabulary
    tokens = encoding.merge(plain(vocabulary, body))
    assert encoding.expand(tokens).tolist() == plain(vocabulary, body).tolist()
    return vocabulary.to_text(tokens[HEADER:-1])


class TestKnownChords:
    def test_notes_that_start_together_are_one_token(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, [C4, E4])
        assert shortened(encoding, f"{C4} {E4} wait:9 piano:v0:C4 piano:v0:E4") == (
            "chord(piano:v72:C4+piano:v72:E4) wait:9 piano:v0:C4 piano:v0:E4"
        )

    def test_what_goes_on_is_named_and_what_is_not_named_has_ended(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, [HELD_E4, D4])
        assert shortened(encoding, f"{C4} {E4} wait:9 piano:v0:C4 {D4} wait:9 piano:v0:D4 piano:v0:E4") == (
            f"{C4} {E4} wait:9 chord(piano:v0:E4+piano:v72:D4) wait:9 piano:v0:D4 piano:v0:E4"
        )

    def test_silence_is_a_chord_too(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, [])
        assert shortened(encoding, f"{C4} {E4} wait:9 piano:v0:C4 piano:v0:E4") == f"{C4} {E4} wait:9 chord()"

    def test_a_note_that_is_struck_anew_is_not_one_that_goes_on(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, [HELD_E4, C4], [C4, E4])
        body = (
            f"{C4} {E4} wait:9 piano:v0:C4 piano:v0:E4 {C4} {E4} wait:9 piano:v0:C4 {C4} wait:9 piano:v0:C4 piano:v0:E4"
        )
        assert shortened(encoding, body) == (
            "chord(piano:v72:C4+piano:v72:E4) wait:9 chord(piano:v72:C4+piano:v72:E4) wait:9 "
            "chord(piano:v0:E4+piano:v72:C4) wait:9 piano:v0:C4 piano:v0:E4"
        )

    def test_drums_sound_only_when_struck(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, [C4, BASS_DRUM], ["piano:v0:C4", BASS_DRUM])
        assert shortened(encoding, f"{C4} {BASS_DRUM} wait:9 {BASS_DRUM} wait:9 piano:v0:C4") == (
            "chord(piano:v72:C4+drums:v80:C2) wait:9 chord(piano:v0:C4+drums:v80:C2) wait:9 piano:v0:C4"
        )

    def test_another_velocity_is_another_chord(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, [C4, E4])
        body = f"piano:v80:C4 {E4} wait:9 piano:v0:C4 piano:v0:E4"
        assert shortened(encoding, body) == body

    def test_a_tempo_stands_before_the_chord(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, [C4, E4])
        assert shortened(encoding, f"wait:9 tempo60 {C4} {E4} wait:9 piano:v0:C4 piano:v0:E4").startswith(
            "wait:9 tempo60 chord(piano:v72:C4+piano:v72:E4) wait:9"
        )


class TestDecodingAnything:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ("chord(piano:v0:E4+piano:v72:D4) wait:5", [(0, 5, 62)]),
            (f"{E4} wait:5 chord(piano:v0:E4+piano:v72:D4) chord() wait:5", [(0, 5, 64)]),
            (f"chord(piano:v0:E4+piano:v72:D4) wait:5 {D4} wait:5 chord() wait:5", [(0, 5, 62), (5, 5, 62)]),
        ],
        ids=["what it lets go on but does not sound", "a chord that lasts no time", "struck twice"],
    )
    def test_a_chord_where_none_can_be(
        self, body: str, expected: list[tuple[int, int, int]], vocabulary: Vocabulary
    ) -> None:
        encoding = over(vocabulary, [HELD_E4, D4], [])
        notes = encoding.decode(plain(encoding.vocabulary, body))
        times = ((column * 96).round().astype(int).tolist() for column in (notes.onset, notes.duration))
        assert list(zip(*times, notes.pitch.tolist())) == expected


class TestLearning:
    BODY = f"{C4} {E4} wait:9 piano:v0:C4 {G4} wait:9 piano:v0:E4 piano:v0:G4 wait:9 "

    def learned(self, vocabulary: Vocabulary, bodies: list[str], count: int) -> list[str]:
        learned = Chordwise(vocabulary).learn([plain(vocabulary, body) for body in bodies], count)
        return learned.names(vocabulary.names)

    def test_the_chords_that_spare_most_come_first(self, vocabulary: Vocabulary) -> None:
        body = self.BODY * 3 + f"{C4} {E4} {G4} {BASS_DRUM} wait:9 piano:v0:C4 piano:v0:E4 piano:v0:G4"
        names = self.learned(vocabulary, [body], 10)
        # silence spares 3 + 2 tokens, the chord of four 3, the others 3 each: one for each of three times
        assert names[0] == "chord()"
        assert set(names[1:]) == {
            "chord(piano:v72:C4+piano:v72:E4)",
            "chord(piano:v0:E4+piano:v72:G4)",
            "chord(piano:v72:C4+piano:v72:E4+piano:v72:G4+drums:v80:C2)",
        }

    def test_no_more_than_asked_for(self, vocabulary: Vocabulary) -> None:
        assert len(self.learned(vocabulary, [self.BODY], 2)) == 2

    def test_a_chord_that_spares_nothing_is_not_learned(self, vocabulary: Vocabulary) -> None:
        assert self.learned(vocabulary, [f"{C4} wait:9 piano:v0:C4 wait:9 {D4} wait:9 piano:v0:D4"], 10) == []

    def test_the_order_of_the_pieces_does_not_matter(self, vocabulary: Vocabulary) -> None:
        bodies = [self.BODY, f"{C4} {G4} wait:9 piano:v0:C4 piano:v0:G4", f"{D4} {G4} wait:5 piano:v0:D4 piano:v0:G4"]
        assert self.learned(vocabulary, bodies, 3) == self.learned(vocabulary, bodies[::-1], 3)

    def test_from_nothing_nothing_is_learned(self, vocabulary: Vocabulary) -> None:
        assert self.learned(vocabulary, [], 10) == []


def test_units_of_another_kind_are_refused(vocabulary: Vocabulary) -> None:
    merges = replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, ((60, 3968),)))
    with pytest.raises(VocabularyError, match="has merges, which the encoding 'chordwise' does not use"):
        get_encoding("chordwise", merges)


def test_without_units_it_is_combined(vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
    notes = make_notes([(0, 1, 60, 72, 0, False), (0, 1, 64, 72, 0, False)])
    chordwise, combined = (get_encoding(name, vocabulary).encode(notes) for name in ("chordwise", "combined"))
    assert np.array_equal(chordwise, combined)
