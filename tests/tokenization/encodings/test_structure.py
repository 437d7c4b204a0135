"""Structure features: a short sequence by hand, and one token at a time against all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.encodings import get_encoding
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS, Features, Stepper, TokenEffects, features
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

NAMES = ("time", "chord", "part", "countdown")


@pytest.fixture(scope="module")
def effects(vocabulary: Vocabulary) -> TokenEffects:
    return TokenEffects.of(vocabulary)


# token, time, chord, countdown
SEQUENCE = [
    ("bach", 0, 0, 12),
    ("piano", 0, 0, 11),
    ("start", 0, 0, 10),
    ("tempo120", 0, 0, 9),
    ("piano:v72:C4", 0, 1, 8),  # a chord of two
    ("piano:v72:E4", 0, 2, 7),
    ("wait:12", 12, 0, 6),  # with the wait the time has passed
    ("piano:v0:C4", 12, 1, 5),  # an end and a start at one time
    ("piano:v72:G4", 12, 2, 4),
    ("wait:128", 140, 0, 3),  # a long wait in two tokens
    ("wait:2", 142, 0, 2),
    ("piano:v0:G4", 142, 1, 1),
    ("end", 142, 0, 0),
]
WORDS, TIME, CHORDS, DOWN = (list(column) for column in zip(*SEQUENCE))


class TestByHand:
    def test_time_chord_and_countdown(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        found = features(vocabulary.from_text(" ".join(WORDS)), effects)
        assert found.time.tolist() == TIME
        assert found.chord.tolist() == CHORDS
        assert found.countdown.tolist() == DOWN

    def test_parts_of_a_short_piece_are_spread_over_128(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        found = features(vocabulary.from_text(" ".join(WORDS)), effects)
        # 128 · position // 13
        assert found.part.tolist() == [0, 9, 19, 29, 39, 49, 59, 68, 78, 88, 98, 108, 118]

    def test_a_piece_longer_than_what_is_seen_of_it(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        found = features(vocabulary.from_text(" ".join(WORDS)), effects, lengths=256)
        assert found.time.tolist() == TIME
        assert found.part.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
        assert found.countdown.tolist() == [127] * 13

    def test_drums_count_in_a_chord(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        found = features(vocabulary.from_text("piano:v72:C4 drums:v80:C2 wait:1 drums:v80:C2"), effects)
        assert found.chord.tolist() == [1, 2, 0, 1]

    def test_large_chords_stay_at_the_last_value(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        found = features(np.arange(40, dtype=np.uint16), effects)
        assert found.chord.tolist() == [*range(1, 32), *[31] * 9]

    def test_no_tokens_have_no_features(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        found = features(np.zeros(0, np.uint16), effects)
        assert [len(column) for column in (found.time, found.chord, found.part, found.countdown)] == [0, 0, 0, 0]


class TestPositions:
    def test_the_countdown_goes_from_127_to_0_and_waits_at_127(self, effects: TokenEffects) -> None:
        found = features(np.zeros(200, np.uint16), effects)
        assert found.countdown.tolist() == [127] * 72 + list(range(127, -1, -1))

    def test_every_part_has_its_share(self, effects: TokenEffects) -> None:
        assert np.bincount(features(np.zeros(1280, np.uint16), effects).part).tolist() == [10] * 128

    @pytest.mark.parametrize("length", [1, 2, 5, 127, 128, 129, 300, 4096])
    def test_a_part_is_the_share_of_the_piece_that_lies_before(self, length: int, effects: TokenEffects) -> None:
        found = features(np.zeros(length, np.uint16), effects)
        assert found.part.tolist() == [128 * position // length for position in range(length)]

    def test_a_piece_that_runs_on_past_its_plan_stays_in_the_last_part(self, effects: TokenEffects) -> None:
        found = features(np.zeros(300, np.uint16), effects, lengths=200)
        assert set(found.part[200:].tolist()) == {127}
        assert set(found.countdown[200:].tolist()) == {0}


class TestLearnedTokens:
    """What a learned id does to time and chords is what its tokens do."""

    MERGES = (("piano:v72:C4", "piano:v72:E4"), ("wait:12", "piano:v72:C4"), ("piano:v72:C4", "wait:12"))

    def test_of_merges(self, vocabulary: Vocabulary) -> None:
        items = tuple(tuple(vocabulary.from_text(" ".join(pair)).tolist()) for pair in self.MERGES)
        known = replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, items))
        tokens = known.from_text(
            "piano:v72:G4 piano:v72:C4+piano:v72:E4 wait:12+piano:v72:C4 piano:v72:G4 piano:v72:C4+wait:12"
        )
        found = features(tokens, TokenEffects.of(known))
        assert found.chord.tolist() == [1, 3, 1, 2, 0], "a merge counts what follows its last wait"
        assert found.time.tolist() == [0, 0, 12, 12, 24]
        assert TokenEffects.of(known).onsets[tokens].tolist() == [1, 2, 1, 1, 1]

    def test_of_chords(self, vocabulary: Vocabulary) -> None:
        words = ("piano:v0:C4 piano:v72:E4 piano:v72:G4", "")
        items = tuple(tuple(sorted(vocabulary.from_text(text).tolist())) for text in words)
        known = replace(vocabulary, learned=LearnedTokens(LearnedKind.CHORD, items))
        tokens = known.from_text("piano:v72:C4 wait:5 chord(piano:v0:C4+piano:v72:E4+piano:v72:G4) wait:5 chord()")
        effects = get_encoding("chordwise", known).effects
        found = features(tokens, effects)
        assert found.chord.tolist() == [1, 0, 3, 0, 1], "all that sounds; silence is one"
        assert found.time.tolist() == [0, 5, 5, 10, 10]
        assert effects.onsets[tokens].tolist() == [1, 0, 2, 0, 0]


class TestBatches:
    @given(data=st.data())
    def test_a_batch_is_its_rows(self, data: st.DataObject, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        length, batch = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 4))
        ids = st.lists(st.integers(0, vocabulary.size - 1), min_size=length, max_size=length)
        tokens = np.array(data.draw(st.lists(ids, min_size=batch, max_size=batch)), np.uint16)
        planned = np.array(data.draw(st.lists(st.integers(1, 300), min_size=batch, max_size=batch)))
        whole = features(tokens, effects, planned)
        for index in range(batch):
            row = features(tokens[index], effects, int(planned[index]))
            assert all(getattr(whole, name)[index].tolist() == getattr(row, name).tolist() for name in NAMES)

    def test_real_pieces_step_by_step(self, vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
        notes = make_notes([(i / 7, 0.2, 48 + i % 12, 72, 0, i % 5 == 0) for i in range(50)])
        for time in ("seconds", "beats"):
            encoding = get_encoding("combined", vocabulary, time)
            tokens = encoding.encode(notes)
            stepper = Stepper(np.array([len(tokens)]), encoding.effects)
            steps = [stepper.step(tokens[i : i + 1]) for i in range(len(tokens))]
            assert stacked(steps) == stacked([encoding.features(tokens)])


def stacked(found: list[Features]) -> list[list[int]]:
    """The four columns of features that follow each other."""
    return [np.concatenate([getattr(each, name) for each in found]).tolist() for name in NAMES]


class TestStepper:
    @pytest.mark.parametrize("planned", [1, 13, 400])
    def test_it_says_of_the_sequence_by_hand_what_features_says(
        self, planned: int, vocabulary: Vocabulary, effects: TokenEffects
    ) -> None:
        tokens = vocabulary.from_text(" ".join(WORDS))
        stepper = Stepper(np.array([planned]), effects)
        steps = [stepper.step(tokens[i : i + 1]) for i in range(len(tokens))]
        whole = features(tokens, effects, lengths=planned)
        for name in NAMES:
            assert [int(getattr(step, name)[0]) for step in steps] == getattr(whole, name).tolist()

    @given(data=st.data())
    def test_it_equals_features_on_any_batch(
        self, data: st.DataObject, vocabulary: Vocabulary, effects: TokenEffects
    ) -> None:
        length, batch = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 3))
        planned = data.draw(st.lists(st.integers(1, 300), min_size=batch, max_size=batch))
        ids = st.one_of(st.integers(0, vocabulary.size - 1), st.integers(0, 200), st.integers(3960, 4100))
        rows = st.lists(ids, min_size=length, max_size=length)
        tokens = np.array(data.draw(st.lists(rows, min_size=batch, max_size=batch)), np.uint16)
        stepper = Stepper(np.array(planned), effects)
        steps = [stepper.step(tokens[:, i]) for i in range(length)]
        for index in range(batch):
            whole = features(tokens[index], effects, lengths=planned[index])
            for name in NAMES:
                assert [int(getattr(step, name)[index]) for step in steps] == getattr(whole, name).tolist(), name

    @given(data=st.data())
    def test_values_fit_their_embeddings(
        self, data: st.DataObject, vocabulary: Vocabulary, effects: TokenEffects
    ) -> None:
        ids = st.lists(st.integers(0, vocabulary.size - 1), min_size=1, max_size=300)
        found = features(np.array(data.draw(ids), np.uint16), effects)
        assert (np.diff(found.time) >= 0).all()
        for column, values in ((found.chord, CHORD), (found.part, PARTS), (found.countdown, COUNTDOWN)):
            assert column.min() >= 0
            assert column.max() < values
