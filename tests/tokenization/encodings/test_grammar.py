"""Grammar: which tokens may follow, word by word."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.encodings import ENCODINGS, HEADER, Encoding, Time, get_encoding, learn_tokens
from tokenization.encodings.combined import Combined
from tokenization.encodings.ending import Ending
from tokenization.encodings.grammar import LONGEST_REST, Grammar
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import Notes, TempoMap
from tokenization.vocabulary import Tokens, Vocabulary, builtin_vocabularies
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

LONGEST_NOTE = 64 * 32
REST = round(LONGEST_REST * 96)
"""Ticks, 96 a second."""
FOR_EVER = 1e9
"""Seconds."""
PIANO, VIOLIN, CELLO, DRUMS = range(4)


@pytest.fixture(scope="module")
def vocabulary(small_vocabulary: Vocabulary) -> Vocabulary:
    return small_vocabulary


@pytest.fixture(scope="module")
def encoding(vocabulary: Vocabulary) -> Combined:
    return Combined(vocabulary)


def random_notes(count: int, seed: int) -> Notes:
    """So many notes, eight a second, for piano, strings and drums."""
    random = np.random.default_rng(seed)
    return Notes.from_columns(
        random.uniform(0, count / 8, count),
        random.uniform(0.05, 0.6, count),
        random.integers(48, 73, count),
        random.integers(1, 128, count),
        random.choice((0, 0, 40, 42), count),
        random.random(count) < 0.1,
    )


def grammar_of(encoding: Encoding, *playable: int, batch: int = 1, ending: Ending | None = None) -> Grammar:
    mask = np.zeros((batch, len(encoding.vocabulary.instruments)), np.bool_)
    mask[:, list(playable)] = True
    return Grammar(encoding, mask, ending or Ending.open(batch), LONGEST_NOTE / 96)


def take(grammar: Grammar, text: str) -> Grammar:
    """Takes in words, the same in every piece."""
    for token in grammar.encoding.vocabulary.from_text(text).tolist():
        grammar.advance(np.full(len(grammar.finished), token))
    return grammar


def allows(grammar: Grammar, word: str, piece: int = 0) -> bool:
    return bool(grammar.allowed()[piece, int(grammar.encoding.vocabulary.from_text(word)[0])])


def rest_of(grammar: Grammar) -> int:
    """Takes the longest wait that may come, as long as one may, and returns their ticks."""
    vocabulary, ticks = grammar.encoding.vocabulary, 0
    while len(waits := np.flatnonzero(grammar.allowed()[0, vocabulary.wait_base + 1 : vocabulary.start])):
        ticks += int(waits[-1]) + 1
        grammar.advance(waits[-1:] + vocabulary.wait_base + 1)
    return ticks


class TestNotes:
    def test_at_first_notes_may_start_and_none_may_end(self, encoding: Combined) -> None:
        grammar = grammar_of(encoding, PIANO, VIOLIN, CELLO, DRUMS)
        allowed = grammar.allowed()[0, : encoding.vocabulary.note_end].reshape(-1, 128)
        assert allowed.all(1).tolist() == (encoding.vocabulary.row_velocity > 0).tolist()
        assert allowed.any(1).tolist() == allowed.all(1).tolist()

    def test_a_sounding_note_may_end_but_not_start_again(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO), "piano:v64:C4 wait:1")
        assert allows(grammar, "piano:v0:C4")
        assert not allows(grammar, "piano:v64:C4")
        assert not allows(grammar, "piano:v100:C4")
        assert allows(grammar, "piano:v100:C#4")
        assert not allows(grammar, "piano:v0:C#4")

    def test_an_ended_note_may_start_again(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO), "piano:v64:C4 wait:3 piano:v0:C4")
        assert allows(grammar, "piano:v100:C4")
        assert not allows(grammar, "piano:v0:C4")

    def test_each_instrument_has_its_own_notes(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, VIOLIN, CELLO), "violin:v80:C4 wait:1")
        assert not allows(grammar, "cello:v0:C4")
        assert allows(grammar, "cello:v80:C4")

    def test_drums_repeat_without_an_end(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, DRUMS), "drums:v80:C2 wait:1")
        assert allows(grammar, "drums:v80:C2")

    def test_only_the_asked_for_instruments_play(self, encoding: Combined) -> None:
        grammar = grammar_of(encoding, VIOLIN)
        assert allows(grammar, "violin:v80:C4")
        for word in ("piano:v64:C4", "cello:v80:C4", "drums:v80:C2"):
            assert not allows(grammar, word)

    def test_a_note_of_the_prompt_may_end_whatever_was_asked_for(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO), "violin:v80:C4 wait:1")
        assert allows(grammar, "violin:v0:C4")
        assert not allows(grammar, "violin:v80:D4")


class TestOtherWords:
    @pytest.mark.parametrize(
        "word",
        [
            "start",
            "end_sample",
            "piano",
            "piano_strings_drums",
            "bach",
            "tempo120",
            "pad",
            "no_style",
            "no_instrumentation",
        ],
    )
    def test_what_stands_in_headers_never_follows(self, word: str, encoding: Combined) -> None:
        assert not allows(take(grammar_of(encoding, PIANO), "bach piano start tempo120"), word)

    def test_the_end_may_follow_when_all_notes_have_ended(self, encoding: Combined) -> None:
        grammar = grammar_of(encoding, PIANO)
        assert allows(grammar, "end")
        assert not allows(take(grammar, "piano:v64:C4 wait:3"), "end")
        assert allows(take(grammar, "piano:v0:C4"), "end")

    def test_the_end_never_follows_a_wait(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO), "piano:v64:C4 wait:3 piano:v0:C4")
        for wait in ("wait:32", "wait:1"):
            assert not allows(take(grammar, wait), "end")

    def test_behind_the_end_there_is_only_padding(self, encoding: Combined) -> None:
        grammar = grammar_of(encoding, PIANO, batch=2)
        grammar.advance(np.array([encoding.vocabulary.end, encoding.vocabulary.wait_base + 1]))
        assert grammar.finished.tolist() == [True, False]
        assert grammar.allowed()[0].nonzero()[0].tolist() == [encoding.vocabulary.pad]
        assert allows(grammar, "piano:v64:C4", piece=1)


class TestSilence:
    def test_waits_of_every_length_may_follow(self, encoding: Combined) -> None:
        grammar = grammar_of(encoding, PIANO)
        assert all(allows(grammar, f"wait:{ticks}") for ticks in range(1, encoding.vocabulary.max_wait + 1))

    def test_after_four_seconds_of_silence_something_must_happen(self, encoding: Combined) -> None:
        rest = " ".join(["wait:32"] * (REST // 32 - 1))
        grammar = take(grammar_of(encoding, PIANO), rest)
        assert allows(grammar, "wait:1")
        take(grammar, "wait:32")
        assert not any(allows(grammar, f"wait:{ticks}") for ticks in (1, 32))
        assert allows(grammar, "piano:v64:C4")

    def test_no_wait_goes_beyond_them(self, encoding: Combined) -> None:
        playable = np.ones((1, len(encoding.vocabulary.instruments)), np.bool_)
        grammar = Grammar(encoding, playable, Ending.open(1), LONGEST_NOTE / 96, longest_rest=81 / 96)
        take(grammar, "wait:32 wait:32")
        assert allows(grammar, "wait:17")
        assert not any(allows(grammar, f"wait:{ticks}") for ticks in (18, 32))

    @pytest.mark.parametrize("tempo", [20, 60, 120, 240])
    @pytest.mark.parametrize(("name", "time"), list(itertools.product(ENCODINGS, Time)))
    def test_they_are_seconds_at_every_tempo(self, name: str, time: Time, tempo: int) -> None:
        encoding = learned(name, time, "musenet")
        speed = tempo / 60 * 48 if time is Time.BEATS else 96
        grammar = take(grammar_of(encoding, PIANO), f"tempo{tempo}")
        assert rest_of(grammar) == np.floor(4 * speed)

    @pytest.mark.parametrize("name", ["combined", "onset", "note"])
    def test_a_rest_in_two_tempos_is_as_long(self, name: str) -> None:
        encoding = learned(name, Time.BEATS, "musenet")
        take(grammar := grammar_of(encoding, PIANO), "tempo60 wait:96 tempo120")
        assert rest_of(grammar) == 2 * 96, "two seconds have passed"

    def test_time_passes_in_the_longest_waits_and_one_shorter(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO), "wait:32")
        assert allows(grammar, "wait:32")
        assert allows(grammar, "wait:1")
        take(grammar, "wait:31")
        assert not any(allows(grammar, f"wait:{ticks}") for ticks in range(1, encoding.vocabulary.max_wait + 1))
        assert allows(grammar, "piano:v64:C4")
        assert allows(take(grammar, "piano:v64:C4"), "wait:1")

    def test_a_note_breaks_the_silence(self, encoding: Combined) -> None:
        rest = " ".join(["wait:32"] * (REST // 32))
        grammar = take(grammar_of(encoding, PIANO), f"{rest} piano:v64:C4 wait:32 piano:v0:C4")
        assert allows(grammar, "wait:32")

    def test_a_held_note_is_no_silence(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO), "piano:v64:C4 " + " ".join(["wait:32"] * 40))
        assert allows(grammar, "wait:32")


class TestOrder:
    """What happens at one time comes as the encoding writes it."""

    def test_notes_rise_within_a_chord(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO, VIOLIN), "piano:v64:C4")
        assert allows(grammar, "piano:v64:C#4")
        assert not allows(grammar, "piano:v64:B3")
        assert not allows(grammar, "violin:v80:C4"), "the encoding writes the violin before the piano"
        assert allows(take(grammar, "wait:1"), "piano:v64:B3")

    def test_note_offs_come_first_so_that_no_note_has_no_length(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO), "piano:v64:C4 wait:1 piano:v64:E4")
        assert not allows(grammar, "piano:v0:C4")
        assert not allows(grammar, "piano:v0:E4")

    def test_drums_come_last(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO, DRUMS), "drums:v80:C2")
        assert not allows(grammar, "piano:v64:C4")
        assert allows(grammar, "drums:v80:D2")


class TestEnd:
    def until(self, latest: int, earliest: int = 0) -> Ending:
        return Ending.within(np.array([earliest]), np.array([latest]))

    def test_it_may_follow_from_the_earliest_end_on(self, encoding: Combined) -> None:
        grammar = grammar_of(encoding, PIANO, ending=self.until(99, earliest=5))
        take(grammar, "piano:v64:C4 wait:1 piano:v0:C4 piano:v64:C4")
        assert not allows(take(deepcopy(grammar), ""), "end")
        assert allows(take(grammar, "wait:1 piano:v0:C4"), "end")

    def test_no_note_starts_that_could_not_end(self, encoding: Combined) -> None:
        """Behind E4, five tokens let another note start and end: F4, a wait, two note-offs, `end`."""
        assert not allows(take(grammar_of(encoding, PIANO, ending=self.until(5)), "piano:v64:E4"), "piano:v64:F4")
        assert allows(take(grammar_of(encoding, PIANO, ending=self.until(6)), "piano:v64:E4"), "piano:v64:F4")
        grammar = take(grammar_of(encoding, PIANO, ending=self.until(8)), "piano:v64:E4 wait:1")
        assert allows(grammar, "piano:v64:C4")
        assert not allows(take(grammar, "piano:v64:C4"), "piano:v64:D4")
        take(grammar, "wait:1")
        assert allows(grammar, "piano:v0:C4")
        take(grammar, "piano:v0:C4")
        assert allows(grammar, "piano:v0:E4")
        assert grammar.allowed().sum() > 1
        assert not allows(grammar, "piano:v64:G4")
        assert allows(take(grammar, "piano:v0:E4"), "end")

    def test_at_last_notes_end_in_order(self, encoding: Combined) -> None:
        grammar = take(grammar_of(encoding, PIANO, ending=self.until(6)), "piano:v64:C4 piano:v64:E4 wait:1")
        assert not allows(grammar, "wait:1")
        assert not allows(grammar, "piano:v0:E4")
        assert grammar.allowed().sum() == 1
        assert allows(take(grammar, "piano:v0:C4"), "piano:v0:E4")
        assert grammar.allowed().sum() == 1
        take(grammar, "piano:v0:E4")
        assert grammar.allowed()[0].nonzero()[0].tolist() == [encoding.vocabulary.end]

    def test_from_the_last_onset_on_notes_ring_out(self, encoding: Combined) -> None:
        ending = Ending(*map(np.array, ([50], [99], [10], [60])))
        grammar = take(grammar_of(encoding, PIANO, ending=ending), "piano:v64:C4 wait:9")
        assert allows(take(grammar, "piano:v64:C5"), "wait:1")
        take(grammar, "wait:1")
        assert not allows(grammar, "piano:v64:D4")
        assert allows(grammar, "piano:v0:C4")
        assert allows(take(grammar, "piano:v0:C4"), "wait:30")
        assert not allows(grammar, "end"), "C5 sounds"
        take(grammar, "wait:30 piano:v0:C5")
        assert grammar.allowed()[0].nonzero()[0].tolist() == [encoding.vocabulary.end]

    def test_at_the_last_sound_they_end(self, encoding: Combined) -> None:
        ending = Ending(*map(np.array, ([50], [99], [10], [40])))
        grammar = grammar_of(encoding, PIANO, ending=ending)
        take(grammar, "piano:v64:C4 piano:v64:E4 piano:v64:G4 wait:11 piano:v0:C4")
        assert allows(grammar, "wait:29")
        assert not allows(grammar, "wait:30")
        for word in ("piano:v0:E4", "piano:v0:G4"):
            take(grammar, "wait:29" if word.endswith("E4") else "")
            assert grammar.allowed()[0].nonzero()[0].tolist() == encoding.vocabulary.from_text(word).tolist()
            take(grammar, word)

    def test_silence_at_the_last_onset_is_the_end(self, encoding: Combined) -> None:
        ending = Ending(*map(np.array, ([50], [99], [10], [60])))
        grammar = take(grammar_of(encoding, PIANO, ending=ending), "piano:v64:C4 wait:5 piano:v0:C4 wait:32")
        assert grammar.allowed()[0].nonzero()[0].tolist() == [encoding.vocabulary.end]


class TestLongNotes:
    def test_time_stands_still_until_a_note_that_lasts_too_long_has_ended(self, encoding: Combined) -> None:
        almost = " ".join(["wait:32"] * (LONGEST_NOTE // 32 - 1))
        grammar = take(grammar_of(encoding, PIANO), f"piano:v64:C4 {almost}")
        assert allows(grammar, "wait:32")
        take(grammar, "wait:32")
        assert not allows(grammar, "wait:1")
        assert allows(grammar, "piano:v0:C4")
        take(grammar, "piano:v0:C4")
        assert allows(grammar, "wait:32")

    def test_a_note_struck_again_counts_from_then_on(self, encoding: Combined) -> None:
        almost = " ".join(["wait:32"] * (LONGEST_NOTE // 32 - 1))
        again = f"piano:v64:C4 {almost} piano:v0:C4 piano:v64:C4 {almost}"
        assert allows(take(grammar_of(encoding, PIANO), again), "wait:32")


class TestPlayable:
    def test_instrumentation_tokens_name_groups_of_instruments(self, vocabulary: Vocabulary) -> None:
        asked = [["piano"], ["strings"], ["drums", "piano"], ["drums", "strings", "piano"]]
        tokens = np.array([vocabulary.instrumentation_id(vocabulary.group_mask(names)) for names in asked])
        assert vocabulary.instruments_of(tokens).astype(int).tolist() == [
            [1, 0, 0, 0],
            [0, 1, 1, 0],
            [1, 0, 0, 1],
            [1, 1, 1, 1],
        ]

    def test_a_piece_that_no_instrument_may_play_is_refused(self, encoding: Combined) -> None:
        with pytest.raises(ValueError, match="no instrument"):
            grammar_of(encoding)


class TestOnset:
    """Starts alone: nothing is held, and a pitch may start again at any later time."""

    @pytest.fixture
    def grammar(self, vocabulary: Vocabulary) -> Grammar:
        return grammar_of(get_encoding("onset", vocabulary), PIANO, VIOLIN)

    def test_there_are_no_note_offs(self, grammar: Grammar) -> None:
        take(grammar, "piano:v64:C4 violin:v80:E4 wait:1")
        assert not allows(grammar, "piano:v0:C4")
        assert not allows(grammar, "violin:v0:E4")

    def test_a_note_may_start_again_but_not_at_its_time(self, grammar: Grammar) -> None:
        take(grammar, "piano:v100:C4")
        assert not allows(grammar, "piano:v100:C4")
        assert not allows(grammar, "piano:v64:C4")
        assert allows(take(grammar, "wait:1"), "piano:v64:C4")

    def test_waits_are_bounded_from_the_latest_start_on(self, grammar: Grammar) -> None:
        take(grammar, "piano:v64:C4 " + " ".join(["wait:32"] * (REST // 32)))
        assert not allows(grammar, "wait:1")
        assert allows(grammar, "piano:v64:C4")


class TestDrums:
    def test_of_the_velocities_of_a_drum_one_is_struck_at_a_time(self) -> None:
        encoding = Combined(Vocabulary.load("general_midi"))
        grammar = take(grammar_of(encoding, encoding.vocabulary.drum_instrument), "drums:v80:C2")
        assert not allows(grammar, "drums:v64:C2")
        assert allows(grammar, "drums:v96:C#2")
        assert allows(take(grammar, "wait:1"), "drums:v64:C2")


class TestTempo:
    @pytest.fixture
    def grammar(self, vocabulary: Vocabulary) -> Grammar:
        grammar = grammar_of(get_encoding("combined", vocabulary, Time.BEATS), PIANO)
        return take(grammar, "bach piano start tempo120")

    def test_it_changes_first_at_a_time_that_is_not_the_beginning(self, grammar: Grammar) -> None:
        assert not allows(grammar, "tempo60")
        assert not allows(take(grammar, "piano:v64:C4"), "tempo60")
        assert allows(take(grammar, "wait:1"), "tempo60")
        assert not allows(take(grammar, "piano:v0:C4"), "tempo60")

    def test_it_changes_to_another(self, grammar: Grammar) -> None:
        take(grammar, "piano:v64:C4 wait:1")
        assert not allows(grammar, "tempo120")
        take(grammar, "tempo60 wait:1")
        assert allows(grammar, "tempo120")
        assert not allows(grammar, "tempo60")

    def test_it_changes_once_at_a_time_and_before_all_else(self, grammar: Grammar) -> None:
        take(grammar, "piano:v64:C4 wait:1 tempo60")
        assert not allows(grammar, "tempo120")
        assert allows(grammar, "piano:v0:C4")
        assert allows(grammar, "piano:v64:D4")

    def test_the_piece_ends_only_after_something_has_happened_under_it(self, grammar: Grammar) -> None:
        assert allows(grammar, "end"), "the header's tempo is none that came in the music"
        take(grammar, "piano:v64:C4 wait:1 piano:v0:C4 wait:1 tempo60")
        assert not allows(grammar, "end")
        assert not allows(take(grammar, "wait:1"), "end")
        assert allows(take(grammar, "piano:v64:C4 wait:1 piano:v0:C4"), "end")

    def test_it_is_no_music_and_does_not_break_a_silence(self, grammar: Grammar) -> None:
        seconds = "wait:32 tempo60 wait:32 tempo120"
        take(grammar, " ".join([seconds] * 3))
        assert allows(grammar, "wait:32")
        take(grammar, seconds)
        assert not allows(grammar, "wait:1")
        assert allows(grammar, "piano:v64:C4")

    def test_in_seconds_it_never_changes(self, encoding: Combined) -> None:
        assert not allows(take(grammar_of(encoding, PIANO), "piano:v64:C4 wait:1"), "tempo60")


def with_learned(name: str, vocabulary: Vocabulary, *units: str) -> Encoding:
    """The encoding with learned tokens given by what they stand for; a merge's last word is joined to the others."""
    encoding = get_encoding(name, vocabulary)
    kind = encoding.learns
    assert kind is not None
    items: list[tuple[int, ...]] = []
    for text in units:
        ids = vocabulary.from_text(text).tolist()
        if kind is LearnedKind.CHORD:
            items.append(tuple(sorted(ids)))
            continue
        joined = ids[0]
        for token in ids[1:]:
            items.append((joined, token))
            joined = vocabulary.learned_base + len(items) - 1
    return type(encoding)(Vocabulary(vocabulary.file, vocabulary.styles, LearnedTokens(kind, tuple(items))))


class TestMerges:
    """A merge may come if its expansion may, one after the other."""

    def allows(self, vocabulary: Vocabulary, before: str, unit: str, *playable: int) -> bool:
        encoding = with_learned("combined_bpe", vocabulary, unit)
        grammar = take(grammar_of(encoding, *(playable or (PIANO,))), before)
        found = grammar.allowed()
        assert np.array_equal(found, grammar.allowed()), "asking changes nothing"
        return bool(found[0, -1])

    @pytest.mark.parametrize(
        ("before", "unit", "may"),
        [
            ("", "piano:v64:C4 piano:v64:E4", True),
            ("", "piano:v64:E4 piano:v64:C4", False),
            ("", "piano:v64:C4 wait:5 piano:v0:C4 piano:v100:C4", True),
            ("", "piano:v64:C4 wait:5 piano:v100:C4", False),
            ("", "piano:v64:C4 piano:v0:C4", False),
            ("", "wait:5 piano:v0:C4", False),
            ("piano:v64:C4", "wait:5 piano:v0:C4", True),
            ("piano:v64:C4", "piano:v64:E4 wait:5 piano:v0:C4 piano:v0:E4", True),
            ("piano:v64:C4", "piano:v64:E4 wait:5 piano:v0:E4 piano:v0:C4", False),
            ("piano:v64:C4", "wait:5 piano:v0:C4 wait:5 piano:v0:C4", False),
            ("piano:v64:C4 wait:5", "piano:v0:C4 wait:5 piano:v64:C4", True),
            ("piano:v64:D4", "piano:v64:C4 wait:5", False),
            ("", "piano:v64:C4 drums:v80:C2", False),
        ],
    )
    def test_as_its_expansion(self, before: str, unit: str, may: bool, vocabulary: Vocabulary) -> None:
        assert self.allows(vocabulary, before, unit) is may

    def test_of_instruments_that_may_play(self, vocabulary: Vocabulary) -> None:
        assert self.allows(vocabulary, "", "piano:v64:C4 drums:v80:C2", PIANO, DRUMS)

    def test_a_note_that_is_overdue_ends_before_time_goes_on(self, vocabulary: Vocabulary) -> None:
        almost = "piano:v64:C4 " + " ".join(["wait:32"] * (LONGEST_NOTE // 32 - 1))
        assert self.allows(vocabulary, almost, "wait:32 piano:v0:C4 wait:1")
        assert not self.allows(vocabulary, almost, "wait:32 wait:1")
        assert not self.allows(vocabulary, almost, "wait:32 piano:v64:E4")
        assert not self.allows(vocabulary, almost, "piano:v64:E4 wait:32 piano:v64:G4 wait:1")

    def test_so_does_one_that_starts_within_it(self, vocabulary: Vocabulary) -> None:
        waits = " ".join(["wait:32"] * (LONGEST_NOTE // 32))
        assert self.allows(vocabulary, "", f"piano:v64:C4 {waits} piano:v0:C4 wait:1")
        assert not self.allows(vocabulary, "", f"piano:v64:C4 {waits} wait:1")

    def test_rests_are_bounded_within_it(self, vocabulary: Vocabulary) -> None:
        rest = " ".join(["wait:32"] * (REST // 32 - 1))
        assert self.allows(vocabulary, rest, "wait:32 piano:v64:C4 wait:1")
        assert not self.allows(vocabulary, rest, "wait:32 wait:1")

    def test_no_header_and_no_end(self, vocabulary: Vocabulary) -> None:
        assert not self.allows(vocabulary, "", "piano:v64:C4 end")
        assert not self.allows(vocabulary, "", "end end")
        assert not self.allows(vocabulary, "wait:1", "tempo60 piano:v64:C4")

    def test_taken_in_it_does_what_its_tokens_do(self, vocabulary: Vocabulary) -> None:
        text = "piano:v64:C4 wait:5 piano:v64:E4 wait:3 piano:v0:C4"
        encoding = with_learned("combined_bpe", vocabulary, text)
        single, merged = (grammar_of(encoding, PIANO) for _ in range(2))
        take(single, text)
        merged.advance(np.array([encoding.vocabulary.size - 1]))
        assert np.array_equal(merged.allowed(), single.allowed())
        assert np.array_equal(merged.sounding, single.sounding)


class TestChords:
    """A chord says all that sounds after it."""

    CHORDS = ("piano:v64:C4 piano:v64:E4", "piano:v0:C4 piano:v64:G4", "", "violin:v80:C4", "piano:v0:C4 piano:v0:E4")

    @pytest.fixture
    def grammar(self, vocabulary: Vocabulary) -> Grammar:
        encoding = with_learned("chordwise", vocabulary, *self.CHORDS)
        return grammar_of(encoding, PIANO)

    def chords(self, grammar: Grammar) -> list[int]:
        """The numbers of the chords that may come."""
        found: list[int] = grammar.allowed()[0, grammar.encoding.vocabulary.learned_base :].nonzero()[0].tolist()
        return found

    def take_chord(self, grammar: Grammar, chord: int) -> None:
        grammar.advance(np.array([grammar.encoding.vocabulary.learned_base + chord]))

    def test_it_strikes_notes_that_may_play_and_holds_notes_that_sound(self, grammar: Grammar) -> None:
        assert self.chords(grammar) == [0]
        assert self.chords(take(grammar, "piano:v64:C4 wait:1")) == [0, 1, 2]

    def test_nothing_else_happens_at_its_time(self, grammar: Grammar) -> None:
        assert self.chords(take(grammar, "piano:v64:C4")) == []
        self.take_chord(take(grammar, "wait:1"), 0)
        names = grammar.encoding.vocabulary.names
        found = {names[token].split(":")[0] for token in grammar.allowed()[0].nonzero()[0]}
        assert found == {"wait"}

    def test_it_changes_something(self, grammar: Grammar) -> None:
        self.take_chord(grammar, 0)
        take(grammar, "wait:1")
        assert self.chords(grammar) == [0, 1, 2], "holding both is no change"
        self.take_chord(grammar, 2)
        take(grammar, "wait:1")
        assert self.chords(grammar) == [0], "neither is silence after silence"

    def test_what_it_does_not_name_has_ended(self, grammar: Grammar) -> None:
        self.take_chord(grammar, 0)
        take(grammar, "wait:1")
        self.take_chord(grammar, 1)
        assert [pitch for _, _, pitch in zip(*grammar.sounding.nonzero())] == [60, 67]
        assert allows(take(grammar, "wait:1"), "piano:v0:C4")
        assert not allows(grammar, "piano:v0:E4")

    def test_it_holds_no_note_that_is_overdue_but_may_strike_it_anew(self, grammar: Grammar) -> None:
        take(grammar, "piano:v64:C4 " + " ".join(["wait:32"] * (LONGEST_NOTE // 32)))
        assert self.chords(grammar) == [0, 2]
        self.take_chord(grammar, 0)
        assert allows(grammar, "wait:32")
        assert self.chords(take(grammar, "wait:32")) == [0, 1, 2]

    def test_its_notes_have_to_end_in_time(self, grammar: Grammar) -> None:
        self.take_chord(grammar, 0)
        take(grammar, " ".join(["wait:32"] * (LONGEST_NOTE // 32 - 1)))
        assert allows(grammar, "wait:32")
        assert not allows(take(grammar, "wait:32"), "wait:1")
        assert allows(grammar, "piano:v0:C4")
        assert not allows(grammar, "piano:v0:E4"), "the lower note is overdue, too"

    def test_it_follows_a_tempo(self, vocabulary: Vocabulary) -> None:
        units = with_learned("chordwise", vocabulary, *self.CHORDS).vocabulary
        grammar = grammar_of(get_encoding("chordwise", units, Time.BEATS), PIANO)
        take(grammar, "bach piano start tempo120 piano:v64:C4 wait:1 tempo60")
        assert self.chords(grammar) == [0, 1, 2]
        self.take_chord(grammar, 1)
        assert allows(grammar, "wait:1")


def midi_pieces() -> Iterator[Notes]:
    """The project's MIDI files, but for those with very many notes or very long rests."""
    for path in sorted((Path(__file__).parents[2] / "fixtures" / "midi").glob("*.mid")):
        try:
            notes = read_midi(path.read_bytes() if path.is_file() else b"")
        except MidiError:
            continue
        if 0 < len(notes) < 1000 and notes.seconds < 1000:
            yield notes


def band_piece(seed: int) -> Notes:
    """Chords of piano or violin over drums, some held, some struck again; in every second piece the tempo changes."""
    random = np.random.default_rng(seed)
    beats, hits = 24, 48
    chords = 3 * beats
    tempos = TempoMap(np.array([0.0, 2.0, 5.0, 5.5]), np.array([120.0, 60.0, 90.0, 120.0]))
    return Notes.from_columns(
        np.append(np.repeat(np.arange(beats) / 2, 3), np.arange(hits) / 4),
        np.append(random.choice([0.25, 0.5, 1.25], chords), np.full(hits, 0.1)),
        np.append(random.choice([48, 52, 55, 59, 60], chords), 36 + np.arange(hits) % 2 * 2),
        np.append(np.full(chords, 80), np.full(hits, 90)),
        np.append(np.repeat(random.choice([0, 40], beats), 3), np.zeros(hits)),
        np.arange(chords + hits) >= chords,
        tempo_map=tempos if seed % 2 else None,
    )


_LEARNED: dict[tuple[str, Time, str], Encoding] = {}


def learned(name: str, time: Time, vocabulary: str) -> Encoding:
    """An encoding over a vocabulary of the package, with tokens learned from some pieces."""
    key = (name, time, vocabulary)
    if key not in _LEARNED:
        encoding = get_encoding(name, Vocabulary.load(vocabulary, ["bach"]), time)
        pieces = [*(band_piece(seed) for seed in range(12)), *midi_pieces()]
        _LEARNED[key] = learn_tokens(encoding, [encoding.write(encoding.grid(notes)) for notes in pieces], 100)
        assert (len(_LEARNED[key].vocabulary.learned) > 40) is bool(encoding.learns or encoding.writes_lengths)
    return _LEARNED[key]


everywhere = pytest.mark.parametrize(
    ("name", "time", "vocabulary"), list(itertools.product(ENCODINGS, Time, builtin_vocabularies()))
)


class TestRealPieces:
    """Where lengths have no bounds the grammar forbids nothing that an encoding writes."""

    @everywhere
    def test_every_token_may_come_in_its_place(self, name: str, time: Time, vocabulary: str) -> None:
        encoding = learned(name, time, vocabulary)
        notes = [*midi_pieces(), *(band_piece(seed) for seed in range(4))]
        pieces = [encoding.encode(piece, "bach") for piece in notes]
        assert any((piece >= encoding.vocabulary.learned_base).any() for piece in pieces) is bool(
            encoding.learns or encoding.writes_lengths
        )
        longest = max(len(piece) for piece in pieces)
        rows = np.full((len(pieces), longest), encoding.vocabulary.pad, np.int64)
        for row, piece in zip(rows, pieces):
            row[: len(piece)] = piece
        playable = encoding.vocabulary.instruments_of(rows[:, 1])
        grammar = Grammar(encoding, playable, Ending.open(len(rows)), FOR_EVER, longest_rest=FOR_EVER)
        for position, tokens in enumerate(rows.T):
            if position >= HEADER:
                may = np.take_along_axis(grammar.allowed(), tokens[:, None], 1)[:, 0]
                wrong = [encoding.vocabulary.names[token] for token in tokens[~may]]
                assert not wrong, f"at {position}: {wrong}"
            grammar.advance(tokens)
        assert grammar.finished.all()
        assert encoding.writes_lengths or not grammar.sounding.any()


def walk(encoding: Encoding, seed: int, length: int, longest_note: float) -> tuple[Tokens, Grammar]:
    """A piece that the grammar lets go on at random: a note first, then so many tokens, then an end of all notes.

    Each kind of id comes about equally often.
    """
    vocabulary = encoding.vocabulary
    random = np.random.default_rng(seed)
    mask = int(random.integers(1, 2 ** len(vocabulary.groups)))
    header = [
        vocabulary.style_id("bach"),
        vocabulary.instrumentation_id(mask),
        vocabulary.start,
        vocabulary.tempo_id(120),
    ]
    playable = vocabulary.instruments_of(np.array(header[1:2]))
    grammar = Grammar(encoding, playable, Ending.open(1), longest_note)
    tokens = []
    for token in header:
        grammar.advance(np.array([token]))
        tokens.append(token)
    kinds = np.zeros(vocabulary.size, np.int64)
    for kind, first in enumerate(boundaries(vocabulary)):
        kinds[first:] = kind + 1
    is_off = np.zeros(vocabulary.size, np.bool_)
    is_off[: vocabulary.note_end] = np.repeat(vocabulary.row_velocity == 0, 128)
    kinds[is_off] = -1
    for position in range(HEADER, length + 200):
        allowed = grammar.allowed()[0]
        if tokens[-1] != vocabulary.end:
            assert allowed.any(), vocabulary.to_text(tokens)
            assert (np.flatnonzero(allowed) != vocabulary.end).any(), "something besides the end may always come"
        ending = position >= length
        is_held = encoding.writes_ends and grammar.sounding.any()
        if position == HEADER:
            allowed[vocabulary.note_end :] = False
        elif ending and (allowed & is_off).any():
            allowed &= is_off
        elif ending and not is_held and allowed[vocabulary.end]:
            allowed[: vocabulary.end] = allowed[vocabulary.end + 1 :] = False
        elif ending and is_held:
            allowed[: vocabulary.note_end] = False
            allowed[vocabulary.end :] = False
        else:
            allowed[vocabulary.end] = False
        choice = random.choice(np.unique(kinds[allowed]))
        token = int(random.choice(np.flatnonzero(allowed & (kinds == choice))))
        tokens.append(token)
        grammar.advance(np.array([token]))
        if grammar.finished[0]:
            break
    return np.array(tokens, np.uint16), grammar


def boundaries(vocabulary: Vocabulary) -> list[int]:
    """The first ids of waits, headers, tempos, other specials and learned ids."""
    return [
        vocabulary.wait_base + 1,
        vocabulary.start,
        vocabulary.tempo_base,
        vocabulary.special_base,
        vocabulary.learned_base,
    ]


def canonical(tokens: Tokens, vocabulary: Vocabulary) -> list[int]:
    """Plain music with one wait between what happens, long ones as the encodings write them; none before `end`."""
    out: list[int] = []
    ticks = 0
    for token in tokens[HEADER:].tolist():
        if vocabulary.wait_base < token < vocabulary.start:
            ticks += token - vocabulary.wait_base
            continue
        if token != vocabulary.end and ticks:
            many, rest = divmod(ticks - 1, vocabulary.max_wait)
            out += [vocabulary.wait_base + vocabulary.max_wait] * many + [vocabulary.wait_base + rest + 1]
        ticks = 0
        out.append(token)
    return out


PLAIN = {"chordwise": "combined", "combined_bpe": "combined", "onset_bpe": "onset"}
"""The encodings that the learned ones extend."""


class TestWalks:
    """Whatever the grammar allows, one token after another, is music."""

    LONGEST = 2.0

    @everywhere
    @settings(max_examples=2, deadline=None)
    @given(seed=st.integers(0, 10**6))
    def test_at_random(self, name: str, time: Time, vocabulary: str, seed: int) -> None:
        encoding = learned(name, time, vocabulary)
        tokens, grammar = walk(encoding, seed, 80, self.LONGEST)
        instruments = encoding.vocabulary.instruments
        grid = encoding.read(encoding.expand(tokens))
        instrument = encoding.vocabulary.row_instrument[grid.row]
        assert grammar.playable[0, instrument].all()
        ticks = self.LONGEST * encoding.ticks_per_second
        held = ~np.array([instrument.drum for instrument in instruments])[instrument]
        assert (grid.end - grid.start)[held].max(initial=0) < ticks + encoding.vocabulary.max_wait
        notes = encoding.decode(tokens)
        ends = np.maximum.accumulate(notes.onset + notes.duration)
        assert (notes.onset[1:] - ends[:-1]).max(initial=0) <= LONGEST_REST + 1e-6
        voices = np.stack([grid.start, instrument, grid.pitch], axis=1)
        assert len(np.unique(voices, axis=0)) == len(grid), "a note starts once at a time"

    @everywhere
    @settings(max_examples=2, deadline=None)
    @given(seed=st.integers(0, 10**6))
    def test_their_notes_give_the_same_tokens(self, name: str, time: Time, vocabulary: str, seed: int) -> None:
        encoding = learned(name, time, vocabulary)
        tokens, _ = walk(encoding, seed, 80, self.LONGEST)
        again = encoding.expand(encoding.encode(encoding.decode(tokens), "bach"))
        assert canonical(encoding.expand(tokens), encoding.vocabulary) == again[HEADER:].tolist()

    @everywhere
    @settings(max_examples=2, deadline=None)
    @given(seed=st.integers(0, 10**6))
    def test_expanded_they_are_walks_of_plain_tokens(self, name: str, time: Time, vocabulary: str, seed: int) -> None:
        encoding = learned(name, time, vocabulary)
        tokens, grammar = walk(encoding, seed, 80, self.LONGEST)
        plain = get_encoding(PLAIN.get(name, name), replace(encoding.vocabulary, learned=LearnedTokens()), time)
        single = Grammar(plain, grammar.playable, Ending.open(1), self.LONGEST)
        for position, token in enumerate(encoding.expand(tokens).tolist()):
            assert position < HEADER or single.allowed()[0, token], f"{plain.vocabulary.names[token]} at {position}"
            single.advance(np.array([token]))

    @everywhere
    @settings(max_examples=2, deadline=None)
    @given(seed=st.integers(0, 10**6))
    def test_within_their_bounds_all_notes_end(self, name: str, time: Time, vocabulary: str, seed: int) -> None:
        encoding = learned(name, time, vocabulary)
        random = np.random.default_rng(seed)
        latest, last_onset = random.integers(8, 80), random.choice([40, 10**6])
        ending = Ending(*map(np.array, ([latest - 8], [latest], [last_onset], [last_onset + 20])))
        playable = np.ones((1, len(encoding.vocabulary.instruments)), np.bool_)
        grammar = Grammar(encoding, playable, ending, self.LONGEST)
        tokens: list[int] = []
        while not grammar.finished[0]:
            may = grammar.allowed()[0].nonzero()[0]
            assert len(may), encoding.vocabulary.to_text(np.array(tokens, np.uint16))
            kinds = np.searchsorted(boundaries(encoding.vocabulary), may, side="right")
            tokens.append(int(random.choice(may[kinds == random.choice(np.unique(kinds))])))
            grammar.advance(np.array(tokens[-1:]))
        assert len(tokens) <= latest
        if encoding.writes_ends:
            assert grammar.now[0] <= last_onset + 20
        assert tokens[-1] == encoding.vocabulary.end
        if encoding.writes_lengths:
            assert encoding.read(np.array(tokens)).end.max(initial=0) <= last_onset + 20
        else:
            assert not grammar.sounding.any()

    @pytest.mark.parametrize(("name", "time"), [("combined_bpe", Time.SECONDS), ("onset_bpe", Time.BEATS)])
    @settings(max_examples=2, deadline=None)
    @given(seed=st.integers(0, 10**6), length=st.integers(0, 60))
    def test_a_merge_may_come_exactly_if_its_tokens_may(self, name: str, time: Time, seed: int, length: int) -> None:
        encoding = learned(name, time, "musenet")
        tokens, grammar = walk(encoding, seed, length, self.LONGEST)
        until = np.random.default_rng(seed).integers(HEADER, len(tokens))
        grammar = Grammar(encoding, grammar.playable, Ending.open(1), self.LONGEST)
        for token in tokens[:until].tolist():
            grammar.advance(np.array([token]))
        expected = []
        for unit in range(encoding.vocabulary.learned_base, encoding.vocabulary.size):
            tried = deepcopy(grammar)
            may = True
            for token in encoding.expand(np.array([unit], np.uint16)).tolist():
                may = may and bool(tried.allowed()[0, token])
                tried.advance(np.array([token]))
            expected.append(may)
        assert grammar.allowed()[0, encoding.vocabulary.learned_base :].tolist() == expected


class TestEncodings:
    @settings(max_examples=10, deadline=None)
    @given(count=st.integers(1, 40), seed=st.integers(0, 1000))
    def test_whatever_the_encoding_writes_is_grammatical(self, count: int, seed: int, encoding: Combined) -> None:
        piece = encoding.encode(random_notes(count, seed), "bach")
        playable = encoding.vocabulary.instruments_of(piece[1:2])
        grammar = Grammar(encoding, playable, Ending.open(1), LONGEST_NOTE / 96)
        for position, token in enumerate(piece.tolist()):
            if position >= HEADER:
                assert bool(grammar.allowed()[0, token]), encoding.vocabulary.names[token]
            grammar.advance(np.array([token]))
        assert not grammar.sounding.any()
        assert bool(grammar.finished[0])
