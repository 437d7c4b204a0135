"""Composition: a musician's request becomes an opening, candidates, and an order by the critic."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from modeling.criticism import CriticConfig, CriticHead, save_critic, score
from modeling.generation import composition
from modeling.generation.composition import Composer, Request, compose, opening
from modeling.generation.generate import SamplingConfig
from modeling.network.transformer import MuseNet
from modeling.network.weights import WeightsError, save_model
from tokenization.dataset import write_encoding
from tokenization.encodings import ENCODINGS, HEADER, Encoding, Time, get_encoding, learn_tokens
from tokenization.encodings.combined import Combined
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes, TempoMap
from tokenization.vocabulary import Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

CRITIC = CriticConfig(window=32, hidden=8)


def request(**changes: object) -> Request:
    plain = {"style": "bach", "instruments": (), "length": 40, "best_of": 3, "seed": 0}
    return Request(**{**plain, "sampling": SamplingConfig(top_p=1.0), **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tune(make_notes: Callable[[int, int], Notes]) -> Notes:
    return make_notes(6, 0)


@pytest.fixture(scope="session")
def long_tune(make_notes: Callable[[int, int], Notes]) -> Notes:
    return make_notes(200, 1)


ComposerOf = Callable[[str, Time], Composer]
every_encoding = pytest.mark.parametrize(("name", "time"), list(itertools.product(ENCODINGS, Time)))


def with_units(name: str, vocabulary: Vocabulary, time: Time, tune: Notes) -> Encoding:
    """An encoding; a learned one has the tune's chords, or notes with a short wait behind them as merges."""
    encoding = get_encoding(name, vocabulary, time)
    if encoding.learns is not LearnedKind.MERGE:
        return learn_tokens(encoding, [encoding.write(encoding.grid(tune))], 500)
    is_note = np.repeat(vocabulary.row_velocity > 0, 128)
    merges = itertools.product(
        np.flatnonzero(is_note).tolist(), range(vocabulary.wait_base + 1, vocabulary.wait_base + 9)
    )
    return get_encoding(name, replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, tuple(merges))), time)


@pytest.fixture(scope="session")
def composer_of(make_model: Callable[..., MuseNet], vocabulary: Vocabulary, long_tune: Notes) -> ComposerOf:
    """A network for an encoding, which nearly never ends a piece."""

    def make(name: str, time: Time) -> Composer:
        encoding = with_units(name, vocabulary, time, long_tune)
        model = make_model(tied_output=False, vocabulary_size=encoding.vocabulary.size)
        with torch.no_grad():
            model.norm.bias.fill_(1.0)
            model.output.weight[encoding.vocabulary.end] = -0.5
        torch.manual_seed(1)
        return Composer(model, CriticHead(32, CRITIC.hidden).eval(), CRITIC, encoding)

    return make


@pytest.fixture(scope="session")
def composer(composer_of: ComposerOf) -> Composer:
    return composer_of("combined", Time.SECONDS)


class TestOpening:
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
        self, changes: dict[str, object], text: str, composer: Composer, vocabulary: Vocabulary
    ) -> None:
        found = opening(composer, request(**changes))
        assert vocabulary.to_text(found.tokens) == text
        assert found.cut == 0

    def test_a_prompt_is_kept_whole_without_its_end(self, composer: Composer, encoding: Combined, tune: Notes) -> None:
        found = opening(composer, request(prompt=tune, length=200))
        whole = encoding.encode(tune, "bach")
        assert len(whole) <= composer.model.config.context // 2
        assert found.tokens.tolist() == whole[:-1].tolist()
        assert found.cut == 0

    def test_asked_for_instruments_replace_those_of_the_prompt(
        self, composer: Composer, encoding: Combined, tune: Notes, vocabulary: Vocabulary
    ) -> None:
        found = opening(composer, request(prompt=tune, length=200, instruments=("drums",)))
        assert vocabulary.names[found.tokens[1]] == "drums"
        assert found.tokens[2:].tolist() == encoding.encode(tune, "bach")[2:-1].tolist()

    @pytest.mark.parametrize("length", [40, 64, 1000])
    def test_of_a_long_prompt_the_end_is_kept_in_half_of_the_room(
        self, length: int, composer: Composer, encoding: Combined, long_tune: Notes
    ) -> None:
        found = opening(composer, request(prompt=long_tune, length=length))
        whole = encoding.encode(long_tune, "bach")[:-1]
        assert HEADER < len(found.tokens) <= min(composer.model.config.context, length) // 2
        assert found.cut == len(whole) - len(found.tokens)
        assert found.tokens[3] == whole[3]
        late = {note for note in whole[-length:].tolist() if note < composer.vocabulary.note_end}
        assert {note for note in found.tokens[HEADER:].tolist() if note < composer.vocabulary.note_end} <= late

    def test_at_the_cut_no_note_ends_that_did_not_start(
        self, composer: Composer, long_tune: Notes, vocabulary: Vocabulary
    ) -> None:
        found = opening(composer, request(prompt=long_tune, length=1000))
        started = set()
        for word in vocabulary.to_text(found.tokens[HEADER:]).split():
            if word.startswith("wait"):
                continue
            instrument, velocity, pitch = word.split(":")
            if velocity == "v0":
                assert (instrument, pitch) in started
            started.add((instrument, pitch))

    def test_a_cut_prompt_keeps_its_instruments(self, composer: Composer, vocabulary: Vocabulary) -> None:
        count = 60  # a violin at first, then only piano
        programs = [40, *[0] * (count - 1)]
        notes = Notes.from_columns(
            np.arange(count) / 4, [0.2] * count, [60] * count, [80] * count, programs, [False] * count
        )
        found = opening(composer, request(prompt=notes, length=40))
        assert found.cut > 0
        assert vocabulary.names[found.tokens[1]] == "piano_strings"

    @pytest.mark.parametrize("length", [6, 8, 16, 40])
    def test_of_a_prompt_that_ends_in_releases_the_header_is_left(
        self, length: int, composer: Composer, vocabulary: Vocabulary
    ) -> None:
        chord = Notes.from_columns([0.0] * 30, [2.0] * 30, range(40, 70), [80] * 30, [0] * 30, [False] * 30)
        found = opening(composer, request(prompt=chord, length=length))
        assert vocabulary.to_text(found.tokens) == "bach piano start tempo120"
        assert found.cut > 60
        assert compose(composer, request(prompt=chord, length=length, best_of=1))

    @every_encoding
    @pytest.mark.parametrize("length", [40, 80, 10_000])
    def test_in_every_encoding_the_latest_notes_that_fit_are_kept(
        self, name: str, time: Time, length: int, composer_of: ComposerOf, long_tune: Notes
    ) -> None:
        composer = composer_of(name, time)
        encoding = composer.encoding
        found = opening(composer, request(prompt=long_tune, length=length)).tokens
        room = min(composer.model.config.context, length) // 2
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

    def test_a_prompt_of_chords_is_cut_between_them(self, composer: Composer, vocabulary: Vocabulary) -> None:
        count = 60  # triads, each until the next
        onset, pitch = np.repeat(np.arange(count) / 4, 3), np.tile([60, 64, 67], count)
        triads = Notes.from_columns(
            onset, [0.25] * len(onset), pitch, [64] * len(onset), [0] * len(onset), [False] * len(onset)
        )
        plain = get_encoding("chordwise", vocabulary)
        encoding = learn_tokens(plain, [plain.write(plain.grid(triads))], 10)
        found = opening(replace(composer, encoding=encoding), request(prompt=triads, length=45))
        triad, silence = "chord(piano:v64:C4+piano:v64:E4+piano:v64:G4)", "chord()"
        music = " ".join([f"{triad} wait:24"] * 8) + f" {silence}"
        assert encoding.vocabulary.to_text(found.tokens) == f"bach piano start tempo120 {music}"
        assert found.cut == 2 * (count - 8)

    def test_in_beats_a_cut_prompt_keeps_its_beats_and_the_tempos_from_there_on(
        self, composer_of: ComposerOf, vocabulary: Vocabulary
    ) -> None:
        composer = composer_of("combined", Time.BEATS)
        count = 40  # quavers, on and off the beat, at 120 and then at 60 beats a minute, the last four at 120 again
        seconds = np.cumsum([0.0] + [0.25] * 10 + [0.5] * 26 + [0.25] * 3)
        tempos = TempoMap(seconds[[0, 10, 36]], np.array([120.0, 60.0, 120.0]))
        notes = Notes.from_columns(
            seconds, [0.1] * count, [60] * count, [80] * count, [0] * count, [False] * count, tempo_map=tempos
        )
        found = opening(composer, request(prompt=notes, length=63)).tokens
        words = vocabulary.to_text(found).split()
        assert words[3] == "tempo60"
        assert [word for word in words[HEADER:] if word.startswith("tempo")] == ["tempo120"]
        grid = composer.encoding.read(found)
        assert len(grid) == 6
        assert (grid.start % 24 == 0).all()
        assert grid.tempo_ticks[-1] == grid.start[-4]

    @pytest.mark.parametrize("changes", [{"style": "polka"}, {"instruments": ("kazoo",)}])
    def test_unknown_words_are_refused(self, changes: dict[str, object], composer: Composer) -> None:
        with pytest.raises(VocabularyError, match=r"polka.*bach, jazz|kazoo.*piano"):
            opening(composer, request(**changes))


class TestCompose:
    def test_candidates_come_best_first_with_the_critic_s_score(self, composer: Composer) -> None:
        found = compose(composer, request(best_of=6))
        assert sorted(candidate.index for candidate in found) == list(range(6))
        scores = [candidate.score for candidate in found]
        assert scores == sorted(scores, reverse=True)
        pieces = [candidate.tokens for candidate in found]
        assert {len(piece) for piece in pieces} == {40}
        expected = score(composer.model, composer.critic, composer.encoding, pieces, [40] * 6, CRITIC.window)
        assert scores == pytest.approx(expected, rel=1e-5)

    def test_a_seed_gives_the_same_candidates(self, composer: Composer) -> None:
        first, second, other = (compose(composer, request(seed=seed)) for seed in (7, 7, 8))
        assert [c.tokens.tolist() for c in first] == [c.tokens.tolist() for c in second]
        assert [c.tokens.tolist() for c in first] != [c.tokens.tolist() for c in other]

    def test_many_candidates_are_made_in_batches(self, composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(composition, "LONGEST_BATCH", 2)
        told: list[tuple[int, int]] = []
        found = compose(composer, request(best_of=5), lambda done, total: told.append((done, total)))
        assert len({tuple(candidate.tokens.tolist()) for candidate in found}) == 5
        assert told == sorted(told)
        assert told[-1] == (200, 200)

    def test_every_candidate_begins_with_the_opening(self, composer: Composer, tune: Notes) -> None:
        asked = request(prompt=tune, length=80, instruments=("piano", "strings"))
        begin = opening(composer, asked).tokens.tolist()
        for candidate in compose(composer, asked):
            assert candidate.tokens[: len(begin)].tolist() == begin
            assert len(candidate.tokens) == 80

    def test_behind_a_long_prompt_the_critic_hears_the_continuation(self, composer: Composer, long_tune: Notes) -> None:
        near = replace(composer, critic_config=CriticConfig(window=12, hidden=8))
        asked = request(prompt=long_tune, length=100)
        assert len(opening(near, asked).tokens) > 12
        found = compose(near, asked)
        pieces = [candidate.tokens for candidate in found]
        early = score(near.model, near.critic, near.encoding, pieces, [100] * 3, 12)
        assert max(early) - min(early) < 1e-6, "up to there the candidates are alike"
        assert len({round(candidate.score, 5) for candidate in found}) == 3

    @every_encoding
    def test_every_encoding_continues_a_prompt(
        self, name: str, time: Time, composer_of: ComposerOf, long_tune: Notes
    ) -> None:
        composer = composer_of(name, time)
        asked = request(prompt=long_tune, length=80, best_of=2)
        begin = opening(composer, asked).tokens
        for candidate in compose(composer, asked):
            assert candidate.tokens[: len(begin)].tolist() == begin.tolist()
            assert len(candidate.tokens) == 80
            assert len(composer.encoding.decode(candidate.tokens)) > len(composer.encoding.decode(begin))

    def test_real_music_is_continued(self, composer: Composer, midi_folder: Path) -> None:
        prompt = read_midi((midi_folder / "ok_type0.mid").read_bytes())
        (found,) = compose(composer, request(prompt=prompt, length=120, best_of=1))
        assert len(composer.encoding.decode(found.tokens)) > 0


@pytest.fixture(scope="session")
def midi_folder() -> Path:
    return Path(__file__).parents[2] / "fixtures" / "midi"


def register(composer: Composer, tmp_path: Path) -> Path:
    """Writes the files of a registered version."""
    folder = tmp_path / "version"
    save_model(composer.model, folder)
    save_critic(composer.critic, composer.critic_config, folder)
    write_encoding(folder, composer.encoding)
    return folder


@pytest.fixture
def registered(composer: Composer, tmp_path: Path) -> Path:
    return register(composer, tmp_path)


class TestLoad:
    def test_a_registered_version_composes_as_before(self, composer: Composer, registered: Path) -> None:
        loaded = Composer.load(registered)
        assert loaded.vocabulary == composer.vocabulary
        for old, new in zip(compose(composer, request()), compose(loaded, request())):
            assert np.array_equal(new.tokens, old.tokens)
            assert (new.score, new.index) == (old.score, old.index)

    @every_encoding
    def test_it_is_loaded_with_its_encoding(
        self, name: str, time: Time, composer_of: ComposerOf, tmp_path: Path
    ) -> None:
        composer = composer_of(name, time)
        loaded = Composer.load(register(composer, tmp_path))
        assert (loaded.encoding.name, loaded.encoding.time) == (name, time)
        assert loaded.vocabulary == composer.vocabulary

    @pytest.mark.parametrize(
        "content",
        [{"name": "morse", "time": "beats"}, {"name": "onset", "time": "years"}, {"name": "onset"}, {"name": []}],
    )
    def test_an_encoding_that_does_not_exist_is_refused(self, content: dict[str, object], registered: Path) -> None:
        (registered / "encoding.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(WeightsError, match=r"no vocabulary and encoding can be read from .*version"):
            Composer.load(registered)

    @pytest.mark.parametrize("name", ["vocabulary.json", "encoding.json"])
    @pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"{}", b"[]", b"morse"], ids=repr)
    def test_without_its_vocabulary_or_encoding_it_is_refused(
        self, content: bytes | None, name: str, registered: Path
    ) -> None:
        if content is None:
            (registered / name).unlink()
        else:
            (registered / name).write_bytes(content)
        with pytest.raises(WeightsError, match=r"no vocabulary and encoding can be read from .*version"):
            Composer.load(registered)
