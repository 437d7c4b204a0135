"""The prompt: the header of a request, and the latest music of a piece that leaves room for a continuation."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from modeling.generation import ModelBundle, Request, compose, prompt_tokens
from tokenization.encodings import ENCODINGS, HEADER, Time, get_encoding, learn_tokens
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
        ],
    )
    def test_without_a_prompt_it_is_the_header(
        self,
        changes: dict[str, object],
        text: str,
        bundle: ModelBundle,
        vocabulary: Vocabulary,
        make_request: MakeRequest,
    ) -> None:
        found = prompt_tokens(bundle.encoding, make_request(**changes), bundle.model.config.context)
        assert vocabulary.to_text(found.tokens) == text
        assert found.dropped == 0

    def test_a_prompt_is_kept_whole_without_its_end(
        self, bundle: ModelBundle, encoding: Combined, tune: Notes, make_request: MakeRequest
    ) -> None:
        found = prompt_tokens(bundle.encoding, make_request(prompt=tune, length=200), bundle.model.config.context)
        whole = encoding.encode(tune, "bach")
        assert len(whole) <= bundle.model.config.context // 2
        assert found.tokens.tolist() == whole[:-1].tolist()
        assert found.dropped == 0

    def test_asked_for_instruments_replace_those_of_the_prompt(
        self, bundle: ModelBundle, encoding: Combined, tune: Notes, vocabulary: Vocabulary, make_request: MakeRequest
    ) -> None:
        found = prompt_tokens(
            bundle.encoding, make_request(prompt=tune, length=200, instruments=("drums",)), bundle.model.config.context
        )
        assert vocabulary.names[found.tokens[1]] == "drums"
        assert found.tokens[2:].tolist() == encoding.encode(tune, "bach")[2:-1].tolist()

    @pytest.mark.parametrize("length", [40, 64, 1000])
    def test_of_a_long_prompt_the_end_is_kept_in_half_of_the_room(
        self, length: int, bundle: ModelBundle, encoding: Combined, long_tune: Notes, make_request: MakeRequest
    ) -> None:
        found = prompt_tokens(
            bundle.encoding, make_request(prompt=long_tune, length=length), bundle.model.config.context
        )
        whole = encoding.encode(long_tune, "bach")[:-1]
        assert HEADER < len(found.tokens) <= min(bundle.model.config.context, length) // 2
        assert found.dropped == len(whole) - len(found.tokens)
        assert found.tokens[3] == whole[3]
        late = {note for note in whole[-length:].tolist() if note < bundle.vocabulary.note_end}
        assert {note for note in found.tokens[HEADER:].tolist() if note < bundle.vocabulary.note_end} <= late

    def test_at_the_cut_no_note_ends_that_did_not_start(
        self, bundle: ModelBundle, long_tune: Notes, vocabulary: Vocabulary, make_request: MakeRequest
    ) -> None:
        found = prompt_tokens(bundle.encoding, make_request(prompt=long_tune, length=1000), bundle.model.config.context)
        started = set()
        for word in vocabulary.to_text(found.tokens[HEADER:]).split():
            if word.startswith("wait"):
                continue
            instrument, velocity, pitch = word.split(":")
            if velocity == "v0":
                assert (instrument, pitch) in started
            started.add((instrument, pitch))

    def test_a_cut_prompt_keeps_its_instruments(
        self, bundle: ModelBundle, vocabulary: Vocabulary, make_request: MakeRequest
    ) -> None:
        count = 60  # a violin at first, then only piano
        programs = [40, *[0] * (count - 1)]
        notes = Notes.from_columns(
            np.arange(count) / 4, [0.2] * count, [60] * count, [80] * count, programs, [False] * count
        )
        found = prompt_tokens(bundle.encoding, make_request(prompt=notes, length=40), bundle.model.config.context)
        assert found.dropped > 0
        assert vocabulary.names[found.tokens[1]] == "piano_strings"

    @pytest.mark.parametrize("length", [6, 8, 16, 40])
    def test_of_a_prompt_that_ends_in_releases_the_header_is_left(
        self, length: int, bundle: ModelBundle, vocabulary: Vocabulary, make_request: MakeRequest
    ) -> None:
        chord = Notes.from_columns([0.0] * 30, [2.0] * 30, range(40, 70), [80] * 30, [0] * 30, [False] * 30)
        found = prompt_tokens(bundle.encoding, make_request(prompt=chord, length=length), bundle.model.config.context)
        assert vocabulary.to_text(found.tokens) == "bach piano start tempo120"
        assert found.dropped > 60
        assert compose(bundle, make_request(prompt=chord, length=length, best_of=1))

    @every_encoding
    @pytest.mark.parametrize("length", [40, 80, 10_000])
    def test_in_every_encoding_the_latest_notes_that_fit_are_kept(
        self, name: str, time: Time, length: int, bundle_of: BundleOf, long_tune: Notes, make_request: MakeRequest
    ) -> None:
        bundle = bundle_of(name, time)
        encoding = bundle.encoding
        found = prompt_tokens(
            bundle.encoding, make_request(prompt=long_tune, length=length), bundle.model.config.context
        ).tokens
        room = min(bundle.model.config.context, length) // 2
        whole, kept = encoding.quantised(long_tune), encoding.decode(found)
        latest = slice(len(whole) - len(kept), None)
        assert HEADER < len(found) <= room
        assert kept.pitch.tolist() == whole.pitch[latest].tolist()
        assert kept.program.tolist() == whole.program[latest].tolist()
        assert np.allclose(kept.duration, whole.duration[latest])
        assert np.allclose(kept.onset - kept.onset[0], whole.onset[latest] - whole.onset[latest][0])
        assert len(kept) > room // 8
        if encoding.learns is LearnedKind.MERGE:
            assert (found >= encoding.vocabulary.learned_base).any()

    def test_a_prompt_of_chords_is_cut_between_them(
        self, bundle: ModelBundle, vocabulary: Vocabulary, make_request: MakeRequest
    ) -> None:
        count = 60  # triads, each until the next
        onset, pitch = np.repeat(np.arange(count) / 4, 3), np.tile([60, 64, 67], count)
        triads = Notes.from_columns(
            onset, [0.25] * len(onset), pitch, [64] * len(onset), [0] * len(onset), [False] * len(onset)
        )
        plain = get_encoding("chordwise", vocabulary)
        encoding = learn_tokens(plain, [plain.write(plain.grid(triads))], 10)
        found = prompt_tokens(encoding, make_request(prompt=triads, length=45), bundle.model.config.context)
        triad, silence = "chord(piano:v64:C4+piano:v64:E4+piano:v64:G4)", "chord()"
        music = " ".join([f"{triad} wait:24"] * 8) + f" {silence}"
        assert encoding.vocabulary.to_text(found.tokens) == f"bach piano start tempo120 {music}"
        assert found.dropped == 2 * (count - 8)

    def test_in_beats_a_cut_prompt_keeps_its_beats_and_the_tempos_from_there_on(
        self, bundle_of: BundleOf, vocabulary: Vocabulary, make_request: MakeRequest
    ) -> None:
        bundle = bundle_of("combined", Time.BEATS)
        count = 40  # quavers, on and off the beat, at 120 and then at 60 beats a minute, the last four at 120 again
        seconds = np.cumsum([0.0] + [0.25] * 10 + [0.5] * 26 + [0.25] * 3)
        tempos = TempoMap(seconds[[0, 10, 36]], np.array([120.0, 60.0, 120.0]))
        notes = Notes.from_columns(
            seconds, [0.1] * count, [60] * count, [80] * count, [0] * count, [False] * count, tempo_map=tempos
        )
        found = prompt_tokens(
            bundle.encoding, make_request(prompt=notes, length=63), bundle.model.config.context
        ).tokens
        words = vocabulary.to_text(found).split()
        assert words[3] == "tempo60"
        assert [word for word in words[HEADER:] if word.startswith("tempo")] == ["tempo120"]
        grid = bundle.encoding.read(found)
        assert len(grid) == 6
        assert (grid.start % 24 == 0).all()
        assert grid.tempo_ticks[-1] == grid.start[-4]

    @pytest.mark.parametrize("changes", [{"style": "polka"}, {"instruments": ("kazoo",)}])
    def test_unknown_words_are_refused(
        self, changes: dict[str, object], bundle: ModelBundle, make_request: MakeRequest
    ) -> None:
        with pytest.raises(VocabularyError, match=r"polka.*bach, jazz|kazoo.*piano"):
            prompt_tokens(bundle.encoding, make_request(**changes), bundle.model.config.context)
