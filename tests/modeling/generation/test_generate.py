"""Generation: well-formed music of the asked length, from any prompt, the same for the same seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.generation import SamplingConfig, generate
from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from tokenization.encodings import ENCODINGS, HEADER, Encoding, Time, get_encoding
from tokenization.encodings.combined import Combined
from tokenization.encodings.ending import Ending
from tokenization.encodings.grammar import Grammar
from tokenization.encodings.structure import COUNTDOWN
from tokenization.encodings.texture import texture
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi
from tokenization.vocabulary import Tokens, Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

MakeModel = Callable[..., MuseNet]
Generate = Callable[..., list[Tokens]]
FREE = SamplingConfig(top_p=1.0)


@pytest.fixture(scope="session")
def model(make_model: MakeModel, vocabulary: Vocabulary) -> MuseNet:
    """An untrained network that nearly never ends a piece, so that lengths are reached."""
    model = make_model(tied_output=False)
    with torch.no_grad():
        model.norm.bias.fill_(1.0)
        model.output.weight[vocabulary.end] = -0.5
    return model


@pytest.fixture(scope="session")
def run(model: MuseNet, encoding: Combined) -> Generate:
    return partial(generate, model, encoding, sampling=FREE, seed=0)


@pytest.fixture(scope="session")
def header(vocabulary: Vocabulary) -> Tokens:
    """`bach`, all instruments, `start`, `tempo120`."""
    mask = vocabulary.group_mask(vocabulary.groups)
    tokens = [
        vocabulary.style_id("bach"),
        vocabulary.instrumentation_id(mask),
        vocabulary.start,
        vocabulary.tempo_id(120),
    ]
    return np.array(tokens, np.uint16)


def with_units(name: str, vocabulary: Vocabulary, time: Time) -> Encoding:
    """An encoding; a learned one has thirds, or notes with a wait behind them, as learned tokens."""
    kind = get_encoding(name, vocabulary).learns
    if kind is None:
        return get_encoding(name, vocabulary, time)
    notes = (vocabulary.from_text("piano:v64:C3")[0] + np.arange(24)).tolist()
    items = tuple((note, note + 4 if kind is LearnedKind.CHORD else vocabulary.wait_base + 8) for note in notes)
    return get_encoding(name, replace(vocabulary, learned=LearnedTokens(kind, items)), time)


def assert_well_formed(tokens: Tokens, encoding: Encoding, begin: int = HEADER) -> None:
    """Only notes, lengths behind them, waits, in beats tempos, and one `end`; notes start when silent and end when
    sounding; asked-for instruments.
    """
    vocabulary = encoding.vocabulary
    names = vocabulary.names
    groups = set(vocabulary.groups_of_mask(int(tokens[1]) - vocabulary.instrumentation_base))
    playable = {instrument.name for instrument in vocabulary.instruments if instrument.group in groups}
    others = ("wait:", "tempo") if encoding.time is Time.BEATS else ("wait:",)
    sounding = set()
    music = encoding.expand(tokens)
    for position, token in enumerate(music[HEADER:].tolist(), HEADER):
        if token == vocabulary.end:
            assert position == len(music) - 1
        elif names[token].startswith("length:"):
            assert music[position - 1] < vocabulary.note_end, f"{names[token]} at {position} has no note"
        elif token < vocabulary.note_end:
            instrument, velocity, pitch = names[token].split(":")
            voice = (instrument, pitch)
            if velocity == "v0":
                assert voice in sounding, f"{names[token]} at {position} ends what does not sound"
                sounding.remove(voice)
                continue
            assert position < begin or instrument in playable, f"{names[token]} was not asked for"
            if instrument != "drums" and encoding.writes_ends:
                assert voice not in sounding, f"{names[token]} at {position} sounds already"
                sounding.add(voice)
        else:
            assert names[token].startswith(others), f"{names[token]} at {position} is no music"


class TestLength:
    @pytest.mark.parametrize("length", [5, 40, 64, 65, 200])
    def test_pieces_have_the_asked_length_below_and_beyond_the_context(
        self, length: int, run: Generate, header: Tokens, encoding: Combined
    ) -> None:
        for piece in run(prompts=np.tile(header, (3, 1)), lengths=[length] * 3):
            assert len(piece) == length
            assert piece.dtype == np.uint16
            assert_well_formed(piece, encoding)

    def test_each_piece_has_its_own(self, run: Generate, header: Tokens, encoding: Combined) -> None:
        lengths = [5, 90, 17, 64]
        pieces = run(prompts=np.tile(header, (4, 1)), lengths=lengths)
        for piece, length in zip(pieces, lengths):
            assert length - 2 <= len(piece) <= length, "a note and its end need three tokens"
            assert piece[-1] == encoding.vocabulary.end
            assert_well_formed(piece, encoding)

    def test_stop_cuts_what_is_planned_longer(self, run: Generate, header: Tokens) -> None:
        pieces = run(prompts=np.tile(header, (3, 1)), lengths=[10, 100, 300], stop=30)
        assert [len(piece) for piece in pieces[1:]] == [30, 30]
        assert 8 <= len(pieces[0]) <= 10

    def test_until_there_stop_changes_nothing(self, run: Generate, header: Tokens) -> None:
        whole = run(prompts=header[None], lengths=[100])
        stopped = run(prompts=header[None], lengths=[100], stop=30)
        assert stopped[0].tolist() == whole[0][:30].tolist()

    def test_a_piece_may_end_earlier_and_then_has_its_end(
        self, make_model: MakeModel, header: Tokens, encoding: Combined, vocabulary: Vocabulary
    ) -> None:
        model = make_model(tied_output=False)
        with torch.no_grad():
            model.norm.bias.fill_(1.0)
            model.output.weight[vocabulary.end] = 0.3
        short = replace(FREE, longest_note=1 / 96)  # so that nothing sounds every few tokens
        pieces = generate(model, encoding, np.tile(header, (8, 1)), [100] * 8, short, seed=0)
        assert sum(len(piece) < 90 for piece in pieces) >= 4
        assert all(piece[-1] == vocabulary.end for piece in pieces)
        for piece in pieces:
            assert_well_formed(piece, encoding)


class TestPrompt:
    def test_it_is_kept(self, run: Generate, make_piece: Callable[..., Tokens], encoding: Combined) -> None:
        prompt = make_piece(12)[:40]
        for piece in run(prompts=np.tile(prompt, (2, 1)), lengths=[120, 70]):
            assert piece[:40].tolist() == prompt.tolist()
            assert_well_formed(piece, encoding, begin=40)

    def test_real_music_is_continued(self, run: Generate, encoding: Combined) -> None:
        midi = Path(__file__).parents[2] / "fixtures" / "midi" / "ok_type1_drums.mid"
        prompt = encoding.encode(read_midi(midi.read_bytes()), "jazz")[:-1][:50]
        (piece,) = run(prompts=prompt[None], lengths=[150])
        assert piece[: len(prompt)].tolist() == prompt.tolist()
        assert_well_formed(piece, encoding, begin=len(prompt))
        notes = encoding.decode(piece)
        assert len(notes) > len(encoding.decode(prompt))
        assert len(read_midi(write_midi(notes))) == len(notes)

    @pytest.mark.parametrize(("given", "length"), [(3, 50), (20, 20), (20, 10)])
    def test_one_that_is_no_header_or_leaves_no_room_is_refused(
        self, given: int, length: int, run: Generate, make_piece: Callable[..., Tokens]
    ) -> None:
        with pytest.raises(ValueError, match=f"this one has {given}"):
            run(prompts=make_piece(40)[None, :given], lengths=[length])

    def test_it_must_leave_room_in_every_piece(self, run: Generate, make_piece: Callable[..., Tokens]) -> None:
        with pytest.raises(ValueError, match=r"the piece's length \(10\); this one has 20"):
            run(prompts=np.tile(make_piece(40)[:20], (2, 1)), lengths=[50, 10])

    @settings(max_examples=15, deadline=None)
    @given(data=st.data())
    def test_any_instruments_and_prompts_give_well_formed_music(
        self,
        data: st.DataObject,
        run: Generate,
        header: Tokens,
        make_piece: Callable[..., Tokens],
        encoding: Combined,
        vocabulary: Vocabulary,
    ) -> None:
        mask = data.draw(st.integers(1, 7))
        given_tokens = data.draw(st.integers(HEADER, 63))
        prompt = make_piece(40, data.draw(st.integers(0, 20)))[:given_tokens]
        prompt[1] = vocabulary.instrumentation_id(mask)
        length = data.draw(st.integers(given_tokens + 1, 100))
        for piece in run(prompts=np.tile(prompt, (2, 1)), lengths=[length, length], seed=data.draw(st.integers(0, 99))):
            assert_well_formed(piece, encoding, begin=given_tokens)
            assert len(piece) <= length


class TestSeed:
    def test_the_same_seed_gives_the_same_pieces(self, run: Generate, header: Tokens) -> None:
        first, second, other = (run(prompts=np.tile(header, (2, 1)), lengths=[90] * 2, seed=s) for s in (1, 1, 2))
        assert [piece.tolist() for piece in first] == [piece.tolist() for piece in second]
        assert [piece.tolist() for piece in first] != [piece.tolist() for piece in other]

    def test_candidates_of_one_seed_differ(self, run: Generate, header: Tokens) -> None:
        pieces = run(prompts=np.tile(header, (4, 1)), lengths=[40] * 4)
        assert len({tuple(piece.tolist()) for piece in pieces}) == 4

    def test_nothing_else_draws_from_it(self, run: Generate, header: Tokens) -> None:
        torch.manual_seed(1)
        state = torch.random.get_rng_state()
        run(prompts=header[None], lengths=[20])
        assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("mode", "name", "time"),
    [
        ("dense", "combined", Time.SECONDS),
        ("local", "combined", Time.BEATS),
        ("strided", "combined", Time.SECONDS),
        ("fixed", "chordwise", Time.BEATS),
        ("strided", "note", Time.BEATS),
        ("bigbird", "onset", Time.SECONDS),
        ("variable", "combined_bpe", Time.SECONDS),
        ("bslongformer", "onset_bpe", Time.BEATS),
    ],
)
class TestWindow:
    def test_the_most_probable_tokens_are_those_of_full_passes(
        self, mode: str, name: str, time: Time, make_model: MakeModel, header: Tokens, vocabulary: Vocabulary
    ) -> None:
        """Decoding with a cache equals a pass over the whole window, also after the window has moved on."""
        encoding = with_units(name, vocabulary, time)
        size = encoding.vocabulary.size
        changes: dict[str, object] = {"positions": "rotary", "kv_heads": 1} if mode == "dense" else {}
        if name in ("note", "chordwise"):
            changes["structure"] = ("time", "sounding", "harmony", "echo")
        model = make_model(mode=mode, seed=3, tied_output=False, vocabulary_size=size, **changes).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(5)  # so that the most probable token is clearly so
            model.norm.bias.fill_(1.0)
            model.output.weight[vocabulary.end] = -10
        length, context = 150, model.config.context
        surest = SamplingConfig(top_p=1e-9)
        (piece,) = generate(model, encoding, header[None], [length], surest, seed=0)
        assert length - 2 <= len(piece) <= length
        marks = encoding.features(piece, length)
        columns = [piece, marks.time, marks.chord, marks.part, marks.countdown]
        heard = torch.from_numpy(texture(piece, encoding))
        begin, same = HEADER, 0
        for position in range(HEADER, len(piece)):
            if position - begin + HEADER > context:
                begin = position - context // 2
            where = np.r_[0:HEADER, begin:position]
            fields = [torch.from_numpy(column[where].astype(np.int64))[None] for column in columns]
            batch = Batch(*fields, texture=heard[where][None])  # type: ignore[misc]
            with torch.inference_mode():
                logits = model.logits(model.states(batch)[0, -1], batch.texture[0, -1])
            allowed = set(allowed_after(piece[:position], length, encoding))
            best = next(token for token in logits.argsort(descending=True).tolist() if token in allowed)
            same += int(best == piece[position])
        assert same == len(piece) - HEADER
        assert len(set(piece[HEADER:].tolist())) > 10


def allowed_after(tokens: Tokens, length: int, encoding: Encoding) -> list[int]:
    """Ids that the grammar allows after the tokens of one piece."""
    playable = encoding.vocabulary.instruments_of(tokens[1:2])
    grammar = Grammar(
        encoding,
        playable,
        Ending.within(np.array([length - COUNTDOWN]), np.array([length])),
        SamplingConfig().longest_note,
    )
    for token in tokens.tolist():
        grammar.advance(np.array([token]))
    ids: list[int] = grammar.allowed()[0].nonzero()[0].tolist()
    return ids


@pytest.mark.parametrize(("name", "time"), list(itertools.product(ENCODINGS, Time)))
class TestEncodings:
    def test_each_gives_music_of_the_asked_length_and_instruments(
        self, name: str, time: Time, make_model: MakeModel, header: Tokens, vocabulary: Vocabulary
    ) -> None:
        encoding = with_units(name, vocabulary, time)
        model = make_model(tied_output=False, vocabulary_size=encoding.vocabulary.size)
        with torch.no_grad():
            model.norm.bias.fill_(1.0)
            model.output.weight[encoding.vocabulary.end] = -0.5
            model.output.weight[encoding.vocabulary.learned_base :] += 0.1
            model.output.weight[vocabulary.tempo_base : vocabulary.special_base] += 0.1
        prompt = header.copy()
        prompt[1] = vocabulary.instrumentation_id(vocabulary.group_mask(["piano"]))
        pieces = generate(model, encoding, np.tile(prompt, (3, 1)), [150, 70, 150], FREE, seed=0)
        assert all(length - 2 <= len(piece) <= length for piece, length in zip(pieces, (150, 70, 150)))
        tokens = np.concatenate([piece[HEADER:] for piece in pieces])
        has_more = bool(encoding.learns or encoding.writes_lengths)
        assert (tokens >= encoding.vocabulary.learned_base).any() == has_more
        tempos = (tokens >= vocabulary.tempo_base) & (tokens < vocabulary.special_base)
        assert tempos.any() == (time is Time.BEATS)
        for piece in pieces:
            notes = encoding.decode(piece)
            assert len(notes) > 5
            assert not notes.program.any()
            assert not notes.drum.any()
            assert_well_formed(piece, encoding)

    def test_a_prompt_is_continued(
        self,
        name: str,
        time: Time,
        make_model: MakeModel,
        make_notes: Callable[[int, int], Notes],
        vocabulary: Vocabulary,
    ) -> None:
        encoding = with_units(name, vocabulary, time)
        model = make_model(tied_output=False, vocabulary_size=encoding.vocabulary.size)
        prompt = encoding.encode(make_notes(8, 0), "bach")[:-1]
        (piece,) = generate(model, encoding, prompt[None], [100], FREE, seed=0)
        assert piece[: len(prompt)].tolist() == prompt.tolist()
        assert len(encoding.decode(piece)) > 8


class TestGuidance:
    """Logits are extrapolated from the unconditional to, and past, the conditional ones."""

    def test_of_1_is_none(self, run: Generate, header: Tokens) -> None:
        plain = run(prompts=np.tile(header, (2, 1)), lengths=[100] * 2)
        guided = run(prompts=np.tile(header, (2, 1)), lengths=[100] * 2, sampling=SamplingConfig(top_p=1.0, guidance=1))
        assert [piece.tolist() for piece in guided] == [piece.tolist() for piece in plain]

    @pytest.mark.parametrize("length", [30, 100])
    def test_tokens_are_those_that_two_full_passes_make_most_probable(
        self, length: int, make_model: MakeModel, header: Tokens, encoding: Combined, vocabulary: Vocabulary
    ) -> None:
        model = make_model(mode="strided", seed=3, tied_output=False).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(5)
            model.norm.bias.fill_(1.0)
            model.output.weight[vocabulary.end] = -10
        guided = SamplingConfig(top_p=1e-9, guidance=3.0)
        (piece,) = generate(model, encoding, header[None], [length], guided, seed=0)
        (unguided,) = generate(model, encoding, header[None], [length], SamplingConfig(top_p=1e-9), seed=0)
        assert piece.tolist() != unguided.tolist()
        marks = encoding.features(piece, length)
        columns = [piece, marks.time, marks.chord, marks.part, marks.countdown]
        context, begin = model.config.context, HEADER
        for position in range(HEADER, len(piece)):
            if position - begin + HEADER > context:
                begin = position - context // 2
            where = np.r_[0:HEADER, begin:position]
            told = Batch(*(torch.from_numpy(column[where].astype(np.int64))[None] for column in columns))
            hidden = told.tokens.clone()
            hidden[0, 0], hidden[0, 1] = vocabulary.no_style, vocabulary.no_instrumentation
            with torch.inference_mode():
                with_them, without = (
                    model.logits(model.states(batch)[0, -1]) for batch in (told, told._replace(tokens=hidden))
                )
            logits = without + 3.0 * (with_them - without)
            allowed = set(allowed_after(piece[:position], length, encoding))
            assert piece[position] == next(t for t in logits.argsort(descending=True).tolist() if t in allowed)

    def test_pieces_are_guided_one_by_one(self, run: Generate, header: Tokens) -> None:
        prompts = np.tile(header, (2, 1))
        sampling = SamplingConfig(top_p=1e-9, guidance=2.0)
        alone = run(prompts=prompts[:1], lengths=[80], sampling=sampling)
        both = run(prompts=prompts, lengths=[80, 80], sampling=sampling)
        assert [piece.tolist() for piece in both] == [alone[0].tolist()] * 2

    @pytest.mark.parametrize("guidance", [0.99, -1.0, math.nan, math.inf])
    def test_less_than_1_has_no_meaning(self, guidance: float) -> None:
        with pytest.raises(ValueError, match="guidance must be at least 1"):
            SamplingConfig(guidance=guidance)
