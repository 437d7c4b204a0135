"""The prompt: the header of a request, and the music that stands at the beginning of the piece."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from infra.errors import UserError
from modeling.controls import Blend
from modeling.generation import ModelBundle, Request, beginning, compose, prompt_tokens, tokens_before
from modeling.generation.direction import Direction
from tokenization.encodings import ENCODINGS, HEADER, Time
from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes, TempoMap
from tokenization.vocabulary import Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import LearnedKind

MakeRequest = Callable[..., Request]
BundleOf = Callable[[str, Time], ModelBundle]
every_encoding = pytest.mark.parametrize(("name", "time"), list(itertools.product(ENCODINGS, Time)))


class TestPrompt:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({}, "bach piano start tempo120"),
            ({"style": None}, "no_style piano start tempo120"),
            ({"instruments": ("strings",)}, "bach strings start tempo120"),
            ({"instruments": ("cello", "drums")}, "bach strings_drums start tempo120"),
            ({"tempo": 70.0}, "bach piano start tempo60"),
            (
                {"style": None, "direction": Direction(blend=Blend([(0, {"jazz": 1.0, "bach": 1.0})]))},
                "bach piano start tempo120",
            ),
        ],
    )
    def test_without_music_it_is_the_header(
        self, changes: dict[str, object], text: str, encoding: Combined, make_request: MakeRequest
    ) -> None:
        assert encoding.vocabulary.to_text(prompt_tokens(encoding, make_request(**changes))) == text

    def test_music_is_kept_whole_without_its_end(
        self, encoding: Combined, tune: Notes, make_request: MakeRequest
    ) -> None:
        found = prompt_tokens(encoding, make_request(prompt=encoding.encode(tune)[:-1], length=200))
        assert found.tolist() == encoding.encode(tune, "bach")[:-1].tolist()

    def test_asked_for_instruments_replace_those_of_the_music(
        self, encoding: Combined, tune: Notes, vocabulary: Vocabulary, make_request: MakeRequest
    ) -> None:
        found = prompt_tokens(
            encoding, make_request(prompt=encoding.encode(tune)[:-1], length=200, instruments=("drums",))
        )
        assert vocabulary.names[found[1]] == "drums"
        assert found[2:].tolist() == encoding.encode(tune, "bach")[2:-1].tolist()

    @pytest.mark.parametrize("changes", [{"style": "polka"}, {"instruments": ("kazoo",)}])
    def test_unknown_words_are_refused(
        self, changes: dict[str, object], encoding: Combined, make_request: MakeRequest
    ) -> None:
        with pytest.raises(VocabularyError, match=r"polka.*bach, jazz|kazoo.*piano"):
            prompt_tokens(encoding, make_request(**changes))

    def test_that_leaves_no_room_is_refused(
        self, encoding: Combined, long_tune: Notes, make_request: MakeRequest
    ) -> None:
        given = encoding.encode(long_tune)[:-1]
        size = len(given) - HEADER
        with pytest.raises(UserError, match=f"the prompt has {size} tokens and the piece should have 100; ask for"):
            prompt_tokens(encoding, make_request(prompt=given, length=100))
        with pytest.raises(UserError, match=r"the prompt lasts \d+\.\d s and the piece should last 2 s"):
            prompt_tokens(encoding, make_request(prompt=given, direction=Direction(seconds=2)))

    @every_encoding
    def test_longer_than_the_context_it_stands_in_the_piece_to_the_tick(
        self, name: str, time: Time, bundle_of: BundleOf, long_tune: Notes, make_request: MakeRequest
    ) -> None:
        bundle = bundle_of(name, time)
        encoding = bundle.encoding
        begin = encoding.encode(long_tune)[:-1]
        assert len(begin) > bundle.model.config.context
        (found,) = compose(bundle, make_request(prompt=begin, length=len(begin) + 30, best_of=1))
        given, piece = encoding.quantised(long_tune), encoding.decode(found.tokens)
        columns = ("onset", "duration", "pitch") if encoding.writes_ends else ("onset", "pitch")
        begun, whole = (set(zip(*(getattr(each, name).tolist() for name in columns))) for each in (given, piece))
        assert begun < whole
        assert min(onset for onset, *_ in whole - begun) >= given.onset.max()


class TestTokensBefore:
    @every_encoding
    def test_a_time_are_those_that_have_not_come_to_it(
        self, name: str, time: Time, bundle_of: BundleOf, long_tune: Notes
    ) -> None:
        encoding = bundle_of(name, time).encoding
        tokens = encoding.encode(long_tune)
        onsets = encoding.decode(tokens).onset
        for seconds in (0.0, 1.5, 8.0, 1e6):
            kept = tokens_before(encoding, tokens, seconds)
            found = encoding.decode(tokens[:kept]).onset
            wanted = onsets[onsets < seconds]
            # A learned token may hold notes from before and behind the time.
            exact = encoding.learns is not LearnedKind.MERGE
            assert len(found) == len(wanted) if exact else len(wanted) - 8 <= len(found) <= len(wanted)
            assert kept >= HEADER

    def test_are_counted_at_the_tempos_of_the_piece(self, vocabulary: Vocabulary) -> None:
        beats = Combined(vocabulary, Time.BEATS)
        text = "bach piano start tempo60 piano:v64:C4 wait:32 tempo120 piano:v64:D4 wait:32 piano:v64:E4"
        tokens = vocabulary.from_text(text)
        ends = [32 / 48, 32 / 48 + 16 / 48]
        assert [tokens_before(beats, tokens, end + shift) for end in ends for shift in (-0.01, 0.01)] == [5, 8, 8, 10]


class TestBeginning:
    @pytest.fixture
    def notes(self) -> Notes:
        """Eight notes, one a second from second 1 on, the first of which sounds throughout; 120, then 60 a minute."""
        onset = np.arange(1.0, 9.0)
        duration = np.where(onset == 1, 20.0, 0.5)
        tempos = TempoMap(np.array([0.0, 5.0]), np.array([120.0, 60.0]))
        return Notes.from_columns(onset, duration, [60] * 8, [80] * 8, [0] * 8, [False] * 8, tempo_map=tempos)

    def test_of_so_many_notes(self, notes: Notes) -> None:
        found = beginning(notes, count=3)
        assert found.onset.tolist() == [1, 2, 3]
        assert found.duration.tolist() == [20, 0.5, 0.5]
        assert found.tempos == notes.tempos

    def test_of_so_many_seconds_nothing_sounds_behind_them(self, notes: Notes) -> None:
        found = beginning(notes, seconds=3.25)
        assert found.onset.tolist() == [1, 2, 3, 4]
        assert found.duration.tolist() == [3.25, 0.5, 0.5, 0.25]

    @pytest.mark.parametrize(("bars", "onsets"), [(1, 2), (2, 4), (3, 8)])
    def test_of_so_many_bars_at_its_tempos(self, bars: int, onsets: int, notes: Notes) -> None:
        """A bar takes two seconds at first, and four from second 5 on."""
        assert len(beginning(notes, bars=bars)) == onsets

    def test_of_more_than_there_is(self, notes: Notes) -> None:
        for limit in ({"count": 99}, {"seconds": 99.0}, {"bars": 99.0}, {}):
            assert beginning(notes, **limit).duration.tolist() == notes.duration.tolist()  # type: ignore[arg-type]
