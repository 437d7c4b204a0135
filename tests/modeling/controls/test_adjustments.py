"""Adjustments: what wishes do to the logits, word by word."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from modeling.controls import Controls
from modeling.controls.adjustments import Adjustments
from modeling.controls.form import NEW, Plans
from modeling.controls.phrases import PHRASE
from modeling.controls.recall import TRIPLE
from tokenization.encodings import Encoding, Time, get_encoding
from tokenization.encodings.outlook import Outlook
from tokenization.vocabulary import Vocabulary, VocabularyError

PIANO, VIOLIN = 0, 1


class Desk:
    """One piece under controls, its logits all zero and every plain id allowed."""

    def __init__(self, encoding: Encoding, *asked: int, **wishes: object) -> None:
        self.encoding = encoding
        instruments = len(encoding.vocabulary.instruments)
        mask = np.zeros(instruments, np.bool_)
        mask[list(asked or range(instruments))] = True
        controls = Controls.model_validate(wishes)
        self.adjustments = Adjustments(encoding, controls, mask[None], np.ones((1, instruments), np.bool_))

    def take(self, text: str) -> Desk:
        for token in self.encoding.vocabulary.from_text(text).tolist():
            self.adjustments.advance(np.array([token]))
        return self

    def look(self, sounding: int = 0, **logits: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The logits and the ids that are left."""
        size = self.encoding.vocabulary.size
        values, may = np.zeros((1, size), np.float32), np.ones((1, size), np.bool_)
        for word, value in logits.items():
            values[0, self.id(word)] = value
        self.adjustments.apply(values, may, Outlook.of(1)._replace(sounding=np.array([sounding])))
        return values[0], may[0]

    def id(self, word: str) -> int:
        return int(self.encoding.vocabulary.from_text(word)[0])

    def logit(self, word: str) -> float:
        return float(self.look()[0][self.id(word)])

    def may(self, word: str, sounding: int = 0) -> bool:
        return bool(self.look(sounding)[1][self.id(word)])


@pytest.fixture
def encoding(vocabulary: Vocabulary) -> Encoding:
    return get_encoding("combined", vocabulary)


def test_without_wishes_nothing_changes(encoding: Encoding) -> None:
    values, may = Desk(encoding).take("piano:v64:C4 wait:5").look()
    assert not values.any()
    assert may.all()


class TestRanges:
    def test_of_pitch(self, encoding: Encoding) -> None:
        desk = Desk(encoding, lowest=60, highest=71)
        assert desk.may("piano:v64:C4")
        assert not desk.may("piano:v64:B3")
        assert not desk.may("violin:v80:C5")
        assert desk.may("piano:v0:B3"), "what sounds may end"
        assert desk.may("drums:v80:C2")

    def test_of_velocity_in_the_steps_of_the_vocabulary(self, encoding: Encoding) -> None:
        soft = Desk(encoding, loudest=70)
        assert soft.may("piano:v64:C4")
        assert not soft.may("piano:v100:C4")
        assert soft.may("violin:v80:C4"), "its only step"

    def test_that_leave_no_note_are_refused(self, encoding: Encoding) -> None:
        piano = np.arange(len(encoding.vocabulary.instruments))[None] == PIANO
        controls = Controls(lowest=61, highest=61, key="C", strict_key=True)
        with pytest.raises(VocabularyError, match="no note of the instruments is left"):
            Adjustments(encoding, controls, piano, piano)


class TestKey:
    def test_makes_other_notes_less_likely(self, encoding: Encoding) -> None:
        desk = Desk(encoding, key="C major", key_strength=2.5)
        assert desk.logit("piano:v64:C4") == 0
        assert desk.logit("piano:v64:C#4") == -2.5
        assert desk.logit("drums:v80:C#2") == 0

    def test_or_forbids_them(self, encoding: Encoding) -> None:
        desk = Desk(encoding, key="C major", strict_key=True)
        assert desk.may("piano:v64:C4")
        assert not desk.may("piano:v64:C#4")


class TestVoices:
    def test_no_more_sound_than_asked_for(self, encoding: Encoding) -> None:
        desk = Desk(encoding, most_voices=2)
        assert desk.may("piano:v64:C4", sounding=1)
        assert not desk.may("piano:v64:C4", sounding=2)
        assert desk.may("wait:1", sounding=2)
        assert desk.may("drums:v80:C2", sounding=2)

    def left(
        self, encoding: Encoding, given: str, outlook: Outlook, drums: bool = False, strict: bool | None = None
    ) -> list[str]:
        """The words that are left of some, where two voices may sound and two do."""
        piano = np.array([[each.name == "piano" or (drums and each.drum) for each in encoding.vocabulary.instruments]])
        may = np.zeros((1, encoding.vocabulary.size), np.bool_)
        may[0, encoding.vocabulary.from_text(given)] = True
        adjustments = Adjustments(encoding, Controls(most_voices=2), piano, piano)
        row = None if strict is None else np.array([strict])
        adjustments.apply(np.zeros(may.shape, np.float32), may, outlook._replace(sounding=np.array([2])), row)
        return [encoding.vocabulary.names[token] for token in np.flatnonzero(may[0])]

    def test_no_wait_leads_to_where_no_note_may_start(self, encoding: Encoding) -> None:
        longest = encoding.vocabulary.max_wait
        given = f"piano:v64:C4 wait:4 wait:5 wait:{longest}"
        soon, late = (Outlook.of(1)._replace(least_wait=np.array([ticks])) for ticks in (5, longest + 3))
        assert self.left(encoding, given, soon) == ["wait:5", f"wait:{longest}"]
        assert self.left(encoding, given, late) == [f"wait:{longest}"], "another wait may follow"
        assert self.left(encoding, given, soon, drums=True)[0] == "wait:4", "a hit may follow"

    def test_where_nothing_is_left_a_piece_ends_or_exceeds_them(self, encoding: Encoding) -> None:
        whole = Outlook.of(1)._replace(may_stop=np.array([True]))
        assert self.left(encoding, "piano:v64:C4", whole) == ["end"]
        assert self.left(encoding, "piano:v64:C4", Outlook.of(1)) == ["piano:v64:C4"]
        assert self.left(encoding, "piano:v64:C4", whole, strict=False) == ["piano:v64:C4"]
        assert self.left(encoding, "piano:v64:C4", whole, strict=True) == []

    def test_of_an_encoding_without_ends_no_more_start_together(self, vocabulary: Vocabulary) -> None:
        desk = Desk(get_encoding("onset", vocabulary), most_voices=2)
        assert desk.take("piano:v64:C4").may("piano:v64:E4")
        assert not desk.take("piano:v64:E4").may("piano:v64:G4")
        assert desk.take("wait:1").may("piano:v64:G4")


class TestTemperatures:
    def test_of_time_leaves_waits_their_share(self, encoding: Encoding) -> None:
        given = {"wait:3": 3.0, "wait:6": 2.0, "piano:v64:C4": 1.5}
        desk = Desk(encoding)
        before, _ = desk.look(**given)
        after, _ = Desk(encoding, time_temperature=0.5).look(**given)
        waits = encoding.effects.ticks > 0
        assert np.exp(after[waits]).sum() == pytest.approx(np.exp(before[waits]).sum(), rel=1e-4)
        assert after[desk.id("wait:3")] - after[desk.id("wait:6")] == pytest.approx(2.0, rel=1e-4)
        assert after[desk.id("piano:v64:C4")] == 1.5

    def test_of_pitch_leaves_each_instrument_its_share(self, encoding: Encoding) -> None:
        given = {"piano:v64:C4": 3.0, "piano:v64:D4": 2.0, "violin:v80:C4": 1.0}
        before, _ = Desk(encoding).look(**given)
        after, _ = Desk(encoding, pitch_temperature=0.5).look(**given)
        piano = slice(128, 384)  # its two rows of notes
        assert np.exp(after[piano]).sum() == pytest.approx(np.exp(before[piano]).sum(), rel=1e-4)
        desk = Desk(encoding)
        c, d = desk.id("piano:v64:C4"), desk.id("piano:v64:D4")
        assert after[c] - after[d] == pytest.approx(2 * (before[c] - before[d]), rel=1e-4)

    def test_of_instruments_leaves_each_note_its_share(self, encoding: Encoding) -> None:
        given = {"piano:v64:C4": 3.0, "piano:v64:D4": 2.0, "violin:v80:C4": 1.0}
        before, _ = Desk(encoding).look(**given)
        after, _ = Desk(encoding, instrument_temperature=0.5).look(**given)
        desk = Desk(encoding)
        c, d = desk.id("piano:v64:C4"), desk.id("piano:v64:D4")
        assert after[c] - after[d] == pytest.approx(before[c] - before[d], rel=1e-4)
        piano = slice(128, 384)
        share = np.log(np.exp(before[piano]).sum())
        assert np.log(np.exp(after[piano]).sum()) == pytest.approx(2 * share, rel=1e-4)


class TestInstruments:
    def test_those_suggested_are_likelier(self, encoding: Encoding) -> None:
        desk = Desk(encoding, PIANO, outside=1.5)
        assert desk.logit("piano:v64:C4") == 0
        assert desk.logit("violin:v80:C4") == -1.5

    def test_one_that_was_asked_for_and_is_silent_becomes_likelier(self, encoding: Encoding) -> None:
        desk = Desk(encoding, PIANO, VIOLIN, missing=2.0)
        desk.take("piano:v64:C4 " + "wait:32 " * 30 + "piano:v64:C4 wait:1")
        assert desk.logit("piano:v64:C4") == 0
        assert desk.logit("violin:v80:C4") == 2.0
        assert desk.take("violin:v80:C4 wait:1").logit("violin:v80:C4") == 0


class TestDensity:
    def test_too_few_notes_make_notes_likelier_and_waits_less_so(self, encoding: Encoding) -> None:
        desk = Desk(encoding, density=8.0).take("piano:v64:C4 " + "wait:32 " * 12)
        assert desk.logit("piano:v64:C4") > 1
        assert desk.logit("wait:1") < -1

    def test_too_many_do_the_opposite(self, encoding: Encoding) -> None:
        desk = Desk(encoding, density=1.0).take(" ".join(f"piano:v64:{name}4 wait:4" for name in "CDEFGAB" * 8))
        assert desk.logit("piano:v64:C4") < -1
        assert desk.logit("wait:1") > 1


class TestRepetition:
    def phrases(self, encoding: Encoding, times: int) -> Desk:
        phrase = "piano:v64:C4 wait:4 piano:v64:E4 wait:4 piano:v64:D4 wait:4 piano:v64:G4 wait:4 "
        return Desk(encoding, repetition=0.5, repeats=2).take(phrase * times + phrase[: phrase.index("piano:v64:G4")])

    def test_a_phrase_may_be_repeated(self, encoding: Encoding) -> None:
        assert self.phrases(encoding, 2).logit("piano:v64:G4") == 0

    def test_but_not_for_ever(self, encoding: Encoding) -> None:
        """It was heard four times after the interval that leads to it, twice more than is free."""
        assert self.phrases(encoding, 5).logit("piano:v64:G4") == -1.0
        assert self.phrases(encoding, 5).logit("piano:v64:A4") == 0

    def test_a_transposed_phrase_is_the_same(self, encoding: Encoding) -> None:
        desk = self.phrases(encoding, 5)
        desk.take("piano:v64:A4 wait:4 piano:v64:D4 wait:4 piano:v64:F#4 wait:4 piano:v64:E4 wait:4")
        assert desk.logit("piano:v64:A4") == -1.0

    def test_one_pitch_is_a_phrase(self, encoding: Encoding) -> None:
        desk = Desk(encoding, repetition=1.0, repeats=2).take("piano:v64:C4 wait:4 piano:v0:C4 " * (PHRASE + 9))
        assert desk.logit("piano:v64:C4") < -5

    def test_each_instrument_has_its_own(self, encoding: Encoding) -> None:
        assert self.phrases(encoding, 5).logit("violin:v80:G4") == 0


class TestTonality:
    SCALE = " ".join(f"piano:v64:{name}4 wait:4 piano:v0:{name}4" for name in "CDEFGAB" * 8)

    def test_pitch_classes_that_were_heard_are_likelier_by_their_share(self, encoding: Encoding) -> None:
        """Of 56 notes 33 count after all, 4.7 of each of seven classes; one more of every class counts at first."""
        desk = Desk(encoding, tonality=1.0).take(self.SCALE)
        inside, outside = desk.logit("piano:v64:C5"), desk.logit("piano:v64:C#4")
        assert inside - outside == pytest.approx(np.log(5.4), abs=0.2)
        assert inside > 0 > outside
        half = Desk(encoding, tonality=0.5).take(self.SCALE)
        assert half.logit("piano:v64:C5") == pytest.approx(inside / 2, abs=1e-6)

    def test_all_instruments_share_it_but_drums(self, encoding: Encoding) -> None:
        desk = Desk(encoding, tonality=1.0).take(self.SCALE)
        assert desk.logit("violin:v80:G5") == pytest.approx(desk.logit("piano:v64:G5"))
        assert desk.logit("drums:v80:C#2") == 0

    def test_at_first_all_are_alike(self, encoding: Encoding) -> None:
        desk = Desk(encoding, tonality=1.0)
        assert desk.logit("piano:v64:C#4") == desk.logit("piano:v64:C4") == 0


def test_pieces_can_be_taken_and_copied(encoding: Encoding) -> None:
    instruments = np.ones((2, len(encoding.vocabulary.instruments)), np.bool_)
    adjustments = Adjustments(encoding, Controls(density=4.0), instruments, instruments)
    notes = encoding.vocabulary.from_text("piano:v64:C4 wait:9").astype(np.int64)
    adjustments.advance(notes)
    adjustments.keep(np.array([1, 1, 0]))
    assert adjustments.state.now.tolist() == [9, 9, 0]
    assert adjustments.state.struck.tolist() == [0, 0, 1]


class TestStay:
    def chord(self, encoding: Encoding, seconds: float) -> Desk:
        """C, E and G struck eight times a second."""
        wait = round(encoding.ticks_per_second) // 8
        struck = f"piano:v64:C4 piano:v64:E4 piano:v64:G4 wait:{wait} "
        return Desk(encoding, stay=2.0, stay_seconds=2.0).take(struck * round(seconds * 8))

    def test_is_free_for_a_while(self, encoding: Encoding) -> None:
        assert self.chord(encoding, 2).logit("piano:v64:C4") == 0

    def test_then_the_chord_becomes_less_likely_until_it_is_so_in_full(self, encoding: Encoding) -> None:
        for seconds, nats in ((3, 1.0), (4, 2.0), (6, 2.0)):
            desk = self.chord(encoding, seconds)
            assert desk.logit("piano:v64:C5") - desk.logit("piano:v64:D5") == pytest.approx(-nats, abs=1e-5)
            assert desk.logit("violin:v80:E5") - desk.logit("violin:v80:F5") == pytest.approx(-nats, abs=1e-5)

    def test_neither_waits_nor_drums_nor_instruments_become_likelier_by_it(self, encoding: Encoding) -> None:
        desk = self.chord(encoding, 4)
        assert desk.logit("wait:1") == desk.logit("drums:v80:C2") == 0
        first, last = desk.id("piano:v64:C0"), desk.id("piano:v64:B7")
        notes = np.exp(desk.look()[0][first : last + 1])
        assert notes.sum() == pytest.approx(len(notes), rel=0.01), "what the chord loses others get"

    def test_ends_with_a_fourth_pitch_class(self, encoding: Encoding) -> None:
        assert self.chord(encoding, 4).take("piano:v64:D4").logit("piano:v64:C4") == 0

    def test_begins_with_the_first_pitched_note(self, encoding: Encoding) -> None:
        desk = Desk(encoding, stay=2.0, stay_seconds=2.0).take("drums:v80:C2 wait:32 " * 20 + "piano:v64:C4 wait:1")
        assert desk.logit("piano:v64:C4") == 0


class TestRecall:
    """Beats of 48 ticks, bars of four beats, sections of two bars; the third section recalls the first."""

    THEME = "piano:v64:C3 piano:v64:C5 wait:24 piano:v64:E5 wait:24 piano:v64:G5 wait:12 piano:v64:E5 wait:20 wait:16 "
    """Half a bar."""

    @pytest.fixture
    def encoding(self, vocabulary: Vocabulary) -> Encoding:
        return get_encoding("combined", vocabulary, Time.BEATS)

    def desk(self, encoding: Encoding, text: str, *plan: int) -> Desk:
        desk = Desk(encoding, recall=2.0)
        desk.adjustments.follow(Plans(np.array([plan or (NEW, NEW, 0)]), np.array([2])))
        return desk.take(text)

    def test_makes_the_notes_of_the_section_likelier_and_then_the_wait_to_the_next(self, encoding: Encoding) -> None:
        desk = self.desk(encoding, self.THEME * 8)
        assert [desk.logit(f"piano:v64:{name}") for name in ("C3", "C5", "E5", "D5")] == [2, 2, 0, 0]
        assert desk.logit("violin:v80:C5") == desk.logit("wait:24") == 0
        desk.take("piano:v64:C3")
        assert [desk.logit(f"piano:v64:{name}") for name in ("C3", "C5")] == [0, 2]
        desk.take("piano:v64:C5")
        assert (desk.logit("wait:24"), desk.logit("wait:12")) == (2, 0)

    def test_goes_on_where_the_piece_went_on_otherwise(self, encoding: Encoding) -> None:
        desk = self.desk(encoding, self.THEME * 8 + "violin:v80:D5 wait:12")
        assert (desk.logit("wait:12"), desk.logit("wait:24")) == (2, 0)
        assert desk.take("wait:12").logit("piano:v64:E5") == 2

    def test_is_of_the_section_that_the_plan_names(self, encoding: Encoding) -> None:
        text = self.THEME * 4 + self.THEME.replace("C5", "A5") * 4
        assert self.desk(encoding, text, NEW, NEW, 0).logit("piano:v64:C5") == 2
        assert self.desk(encoding, text, NEW, NEW, 1).logit("piano:v64:A5") == 2
        assert self.desk(encoding, text, NEW, NEW, NEW).logit("piano:v64:C5") == 0

    def test_does_not_begin_before_the_metre_is_known(self, encoding: Encoding) -> None:
        assert self.desk(encoding, self.THEME * 4, NEW, 0, 0).logit("piano:v64:C5") == 0

    def test_ends_with_its_section(self, encoding: Encoding) -> None:
        assert self.desk(encoding, self.THEME * 11).logit("piano:v64:C5") == 2
        assert self.desk(encoding, self.THEME * 12).logit("piano:v64:C5") == 0

    def test_counts_bars_of_three_where_the_beginning_has_them(self, encoding: Encoding) -> None:
        waltz = "piano:v64:C3 wait:24 wait:24 piano:v64:E5 wait:24 wait:24 piano:v64:G5 wait:24 wait:24 "
        desk = self.desk(encoding, waltz * 6, NEW, NEW, NEW, 0)
        assert desk.adjustments.state.score.bar.tolist() == [TRIPLE]
        assert desk.logit("piano:v64:C3") == 2, "the section that begins at beat 18 recalls that at beat 0"

    def test_is_not_for_time_in_seconds(self, vocabulary: Vocabulary) -> None:
        with pytest.raises(VocabularyError, match="knows no bars"):
            Desk(get_encoding("combined", vocabulary, Time.SECONDS), form="AABA")
