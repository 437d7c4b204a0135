"""What holds for every encoding: nothing is lost or doubled between the grid and the tokens, in either direction."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.encodings import ENCODINGS, HEADER, Encoding, Time, get_encoding
from tokenization.midi.notes import Notes, TempoMap
from tokenization.vocabulary import Vocabulary

COLUMNS = ("onset", "duration", "pitch", "velocity", "program", "drum")


def same(a: Notes, b: Notes) -> bool:
    """Whether two pieces are the same to the last bit."""
    columns = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in COLUMNS)
    maps = [(notes.tempos.seconds.tolist(), notes.tempos.tempo.tolist()) for notes in (a, b)]
    return columns and a.tempo == b.tempo and maps[0] == maps[1]


@pytest.fixture(scope="session")
def paced(pieces: st.SearchStrategy[Notes]) -> st.SearchStrategy[Notes]:
    """Random pieces with up to eight tempos."""

    def with_tempos(notes: Notes, gaps: list[float], tempos: list[float]) -> Notes:
        count = min(len(gaps), len(tempos))
        seconds = np.concatenate([[0.0], np.cumsum(gaps[: count - 1])]) if count else np.zeros(0)
        return replace(notes, tempo_map=TempoMap(seconds, np.array(tempos[:count]))) if count > 1 else notes

    gaps = st.lists(st.floats(1e-4, 30, allow_subnormal=False), max_size=8)
    return st.builds(with_tempos, pieces, gaps, st.lists(st.floats(5, 400), max_size=8))


class TestAnyPiece:
    @settings(max_examples=10)
    @given(data=st.data())
    def test_decoding_gives_the_notes_on_the_grid(
        self, data: st.DataObject, any_encoding: Encoding, paced: st.SearchStrategy[Notes]
    ) -> None:
        notes = data.draw(paced)
        assert same(any_encoding.decode(any_encoding.encode(notes)), any_encoding.quantised(notes))

    @settings(max_examples=10)
    @given(data=st.data())
    def test_encoding_what_was_decoded_gives_the_same_tokens(
        self, data: st.DataObject, any_encoding: Encoding, paced: st.SearchStrategy[Notes]
    ) -> None:
        tokens = any_encoding.encode(data.draw(paced), "jazz")
        assert any_encoding.encode(any_encoding.decode(tokens), "jazz").tolist() == tokens.tolist()

    @settings(max_examples=10)
    @given(data=st.data())
    def test_every_start_is_there_once(
        self, data: st.DataObject, any_encoding: Encoding, paced: st.SearchStrategy[Notes]
    ) -> None:
        # an account of its own: which instrument starts which pitch, in which order, whatever the times
        notes = data.draw(paced)
        vocabulary = any_encoding.vocabulary
        instrument = np.where(notes.drum, vocabulary.drum_instrument, vocabulary.program_instrument[notes.program])
        wanted = {(int(i), int(pitch)) for i, pitch in zip(instrument, notes.pitch)}
        grid = any_encoding.read(any_encoding.expand(any_encoding.encode(notes)))
        voices = list(zip(vocabulary.row_instrument[grid.row].tolist(), grid.pitch.tolist()))
        assert set(voices) == wanted
        assert len(set(zip(voices, grid.start.tolist()))) == len(grid) <= len(notes)

    @settings(max_examples=10)
    @given(data=st.data())
    def test_no_sequence_of_ids_fails(self, data: st.DataObject, any_encoding: Encoding) -> None:
        size = any_encoding.vocabulary.size
        ids = st.one_of(st.integers(0, size - 1), st.integers(0, 0xFFFF), st.integers(3800, 4000))
        tokens = np.array(data.draw(st.lists(ids, max_size=80)), np.uint16)
        notes = any_encoding.decode(tokens)
        assert (notes.duration > 0).all()
        assert (np.diff(notes.onset) >= 0).all()
        if len(notes):
            again = any_encoding.encode(notes)
            assert any_encoding.encode(any_encoding.decode(again)).tolist() == again.tolist()

    def test_real_files(self, any_encoding: Encoding, music: dict[str, Notes]) -> None:
        for name, notes in music.items():
            tokens = any_encoding.encode(notes, "bach")
            decoded = any_encoding.decode(tokens)
            assert same(decoded, any_encoding.quantised(notes)), name
            assert any_encoding.encode(decoded, "bach").tolist() == tokens.tolist(), name

    def test_the_text_form_reads_back(self, any_encoding: Encoding, music: dict[str, Notes]) -> None:
        vocabulary = any_encoding.vocabulary
        for name in ("ok_type1_drums.mid", "tempo_1000_changes.mid"):
            tokens = any_encoding.encode(music[name], "bach")
            assert vocabulary.from_text(vocabulary.to_text(tokens)).tolist() == tokens.tolist()

    def test_learned_tokens_shorten_pieces_and_change_nothing(
        self, any_encoding: Encoding, music: dict[str, Notes]
    ) -> None:
        if any_encoding.writes_lengths:
            pytest.skip("lengths stand for themselves")
        plain = get_encoding(
            "combined" if any_encoding.writes_ends else "onset",
            replace(any_encoding.vocabulary, learned=Vocabulary.load("musenet").learned),
            any_encoding.time,
        )
        longer = [plain.encode(notes) for notes in music.values()]
        shorter = [any_encoding.encode(notes) for notes in music.values()]
        assert [any_encoding.expand(tokens).tolist() for tokens in shorter] == [tokens.tolist() for tokens in longer]
        if any_encoding.learns is not None:
            assert sum(map(len, shorter)) < 0.9 * sum(map(len, longer))


class TestHeader:
    def test_it_is_the_same_in_all(self, any_encoding: Encoding, music: dict[str, Notes]) -> None:
        tokens = any_encoding.encode(music["ok_type1_drums.mid"], "bach")
        vocabulary = any_encoding.vocabulary
        assert tokens[0] == vocabulary.style_id("bach")
        assert vocabulary.instrumentation_base < tokens[1] < vocabulary.style_base
        assert tokens[2] == vocabulary.start
        assert vocabulary.tempo_of(int(tokens[3])) is not None
        assert tokens[-1] == vocabulary.end
        assert len(tokens) > HEADER + 1


# Encoding, version, time and a digest of the tokens of the project's files.
PINNED = """
combined 2 seconds a0f9f1b0c7fe263b
combined 2 beats 3c8a2a784c8ece1d
note 1 seconds 8bcb8e4791bfae91
note 1 beats 4fa9adc3dfd4db18
onset 1 seconds 6ab5efab1ae8aaac
onset 1 beats 71060844b6839d21
"""


@pytest.mark.parametrize("time", Time)
@pytest.mark.parametrize("name", [name for name, encoding in ENCODINGS.items() if encoding.learns is None])
def test_a_version_always_gives_the_same_tokens(name: str, time: Time, music: dict[str, Notes]) -> None:
    """Datasets name the encoding's version. If this fails on purpose: raise it, and put the new line above."""
    encoding = get_encoding(name, Vocabulary.load("musenet", ["bach"]), time)
    tokens = np.concatenate([encoding.encode(notes, "bach") for notes in music.values()])
    digest = hashlib.sha256(tokens.astype("<u2").tobytes()).hexdigest()[:16]
    assert f"{name} {encoding.version} {time} {digest}" in PINNED.split("\n")
