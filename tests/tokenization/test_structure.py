"""Structure features: a short sequence by hand, and one token at a time against all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.structure import CHORD, COUNTDOWN, PARTS, Stepper, features, position_features
from tokenization.vocabulary import Vocabulary

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
    def test_time_chord_and_countdown(self, vocabulary: Vocabulary) -> None:
        found = features(vocabulary.from_text(" ".join(WORDS)), vocabulary)
        assert found.time.tolist() == TIME
        assert found.chord.tolist() == CHORDS
        assert found.countdown.tolist() == DOWN

    def test_the_parts_of_a_short_piece_are_spread_over_128(self, vocabulary: Vocabulary) -> None:
        found = features(vocabulary.from_text(" ".join(WORDS)), vocabulary)
        # 128 · position // 13
        assert found.part.tolist() == [0, 9, 19, 29, 39, 49, 59, 68, 78, 88, 98, 108, 118]

    def test_a_piece_that_is_longer_than_what_is_seen_of_it(self, vocabulary: Vocabulary) -> None:
        found = features(vocabulary.from_text(" ".join(WORDS)), vocabulary, length=256)
        assert found.time.tolist() == TIME
        assert found.part.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
        assert found.countdown.tolist() == [127] * 13

    def test_a_slice_of_features_is_the_features_of_those_tokens(self, vocabulary: Vocabulary) -> None:
        window = features(vocabulary.from_text(" ".join(WORDS)), vocabulary)[4:9]
        assert window.time.tolist() == TIME[4:9]
        assert window.chord.tolist() == CHORDS[4:9]
        assert window.countdown.tolist() == DOWN[4:9]
        assert window.part.tolist() == [39, 49, 59, 68, 78]

    def test_drums_count_in_a_chord(self, vocabulary: Vocabulary) -> None:
        found = features(vocabulary.from_text("piano:v72:C4 drums:v80:C2 wait:1 drums:v80:C2"), vocabulary)
        assert found.chord.tolist() == [1, 2, 0, 1]

    def test_large_chords_stay_at_the_last_value(self, vocabulary: Vocabulary) -> None:
        found = features(np.arange(40, dtype=np.uint16), vocabulary)
        assert found.chord.tolist() == [*range(1, 32), *[31] * 9]

    def test_no_tokens_have_no_features(self, vocabulary: Vocabulary) -> None:
        found = features(np.zeros(0, np.uint16), vocabulary)
        assert [len(column) for column in (found.time, found.chord, found.part, found.countdown)] == [0, 0, 0, 0]


class TestPositions:
    def test_the_countdown_goes_from_127_to_0_and_waits_at_127(self) -> None:
        _, countdown = position_features(np.arange(200), 200)
        assert countdown.tolist() == [127] * 72 + list(range(127, -1, -1))

    def test_every_part_has_its_share(self) -> None:
        part, _ = position_features(np.arange(1280), 1280)
        assert np.bincount(part).tolist() == [10] * 128

    def test_a_piece_that_runs_on_past_its_plan_stays_in_the_last_part(self) -> None:
        part, countdown = position_features(np.arange(300), 200)
        assert set(part[200:].tolist()) == {127}
        assert set(countdown[200:].tolist()) == {0}


class TestStepper:
    @pytest.mark.parametrize("planned", [1, 13, 400])
    def test_it_says_of_the_sequence_by_hand_what_features_says(self, planned: int, vocabulary: Vocabulary) -> None:
        tokens = vocabulary.from_text(" ".join(WORDS))
        stepper = Stepper(np.array([planned]), vocabulary)
        steps = [stepper.step(tokens[i : i + 1]) for i in range(len(tokens))]
        whole = features(tokens, vocabulary, length=planned)
        for name in ("time", "chord", "part", "countdown"):
            assert [int(getattr(step, name)[0]) for step in steps] == getattr(whole, name).tolist()

    @given(data=st.data())
    def test_it_equals_features_on_any_batch(self, data: st.DataObject, vocabulary: Vocabulary) -> None:
        length, batch = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 3))
        planned = data.draw(st.lists(st.integers(1, 300), min_size=batch, max_size=batch))
        ids = st.one_of(st.integers(0, vocabulary.size - 1), st.integers(0, 200), st.integers(3960, 4100))
        rows = st.lists(ids, min_size=length, max_size=length)
        tokens = np.array(data.draw(st.lists(rows, min_size=batch, max_size=batch)), np.uint16)
        stepper = Stepper(np.array(planned), vocabulary)
        steps = [stepper.step(tokens[:, i]) for i in range(length)]
        for index in range(batch):
            whole = features(tokens[index], vocabulary, length=planned[index])
            for name in ("time", "chord", "part", "countdown"):
                assert [int(getattr(step, name)[index]) for step in steps] == getattr(whole, name).tolist(), name

    @given(data=st.data())
    def test_values_fit_their_embeddings(self, data: st.DataObject, vocabulary: Vocabulary) -> None:
        ids = st.lists(st.integers(0, vocabulary.size - 1), min_size=1, max_size=300)
        found = features(np.array(data.draw(ids), np.uint16), vocabulary)
        assert (np.diff(found.time) >= 0).all()
        for column, values in ((found.chord, CHORD), (found.part, PARTS), (found.countdown, COUNTDOWN)):
            assert column.min() >= 0
            assert column.max() < values
