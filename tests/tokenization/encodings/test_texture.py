"""Texture: short sequences by hand, one token at a time against all at once, and windows against whole pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tokenization.dataset.windows import lay_out_texture, side_by_side
from tokenization.encodings import HEADER, Encoding, get_encoding
from tokenization.encodings.echo import APART, CONTEXTS, ECHO_BITS
from tokenization.encodings.effects import NOTE
from tokenization.encodings.texture import (
    CLASSES,
    COUNT_BITS,
    ECHO,
    FIELDS,
    HARMONY,
    LATEST,
    LEAD,
    RECENT,
    RECENT_BITS,
    SOUNDING,
    WORD,
    Rules,
    TextureState,
    texture,
)
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary

NOW, BEAT, BAR, OLDER = range(4)
"""Ages."""
C4, E4, G4 = 60, 64, 67
Integers = NDArray[np.int64]
TextureOf = Callable[..., Integers]


@pytest.fixture
def texture_of(vocabulary: Vocabulary) -> TextureOf:
    """The texture behind each of some words, without the header."""

    def compute(words: str, name: str = "combined") -> Integers:
        encoding = get_encoding(name, vocabulary)
        return texture(encoding.vocabulary.from_text(f"bach piano start tempo120 {words}"), encoding)[HEADER:]

    return compute


def sounding(row: Integers) -> list[tuple[int, int]]:
    """Age and pitch of all notes that sound."""
    bits = [(word, bit) for word in range(SOUNDING.stop) for bit in range(WORD) if row[word] >> bit & 1]
    return [(word // 2, word % 2 * WORD + bit) for word, bit in bits]


def harmony(row: Integers) -> list[dict[int, int]]:
    """Counts above 0 by pitch class, of the last few and of the last many notes."""
    counts = [
        [word >> COUNT_BITS * k & (1 << COUNT_BITS) - 1 for k in range(CLASSES)] for word in row[HARMONY].tolist()
    ]
    return [{k: count for k, count in enumerate(each) if count} for each in counts]


def echo(row: Integers) -> tuple[int, int] | None:
    """The number of tokens that were the same, and the one that followed them."""
    size, token = int(row[ECHO]) & (1 << ECHO_BITS) - 1, int(row[ECHO]) >> ECHO_BITS
    return (CONTEXTS[size - 1], token) if size else None


class TestSounding:
    def test_notes_sound_from_their_start_to_their_end(self, texture_of: TextureOf) -> None:
        rows = texture_of("piano:v72:C4 piano:v72:E4 wait:12 piano:v0:C4 piano:v72:G4 wait:12 piano:v0:E4")
        assert [sounding(row) for row in rows] == [
            [(NOW, C4)],
            [(NOW, C4), (NOW, E4)],
            [(BEAT, C4), (BEAT, E4)],
            [(BEAT, E4)],
            [(NOW, G4), (BEAT, E4)],
            [(BEAT, E4), (BEAT, G4)],
            [(BEAT, G4)],
        ]

    def test_notes_grow_old(self, texture_of: TextureOf) -> None:
        """A beat of 120 a minute has 48 ticks."""
        rows = texture_of("piano:v72:C4 wait:47 wait:1 wait:128 wait:15 wait:1")
        assert [sounding(row)[0][0] for row in rows] == [NOW, BEAT, BAR, BAR, BAR, OLDER]

    def test_a_length_ends_a_note_when_it_has_passed(self, texture_of: TextureOf) -> None:
        rows = texture_of("piano:v72:C4 length:12 piano:v72:E4 length:48 wait:11 wait:1 wait:36", "note")
        assert [[pitch for _, pitch in sounding(row)] for row in rows] == [
            [C4],
            [C4],
            [C4, E4],
            [C4, E4],
            [C4, E4],
            [E4],
            [],
        ]

    def test_without_ends_a_note_sounds_until_its_instrument_starts_again(self, texture_of: TextureOf) -> None:
        rows = texture_of("piano:v72:C4 piano:v72:E4 wait:12 violin:v80:G4 piano:v72:C4 wait:95 wait:1", "onset")
        assert [{pitch for _, pitch in sounding(row)} for row in rows] == [
            {C4},
            {C4, E4},
            {C4, E4},
            {C4, E4, G4},
            {C4, G4},
            {C4, G4},
            set(),
        ]

    def test_a_pitch_sounds_until_the_last_of_its_instruments_ends(self, texture_of: TextureOf) -> None:
        rows = texture_of("piano:v72:C4 violin:v80:C4 wait:12 piano:v0:C4 violin:v0:C4")
        assert [[pitch for _, pitch in sounding(row)] for row in rows] == [[C4], [C4], [C4], [C4], []]

    def test_drums_do_not_sound_and_are_no_harmony(self, texture_of: TextureOf) -> None:
        for name, words in (("combined", "drums:v80:C2 wait:1"), ("note", "drums:v80:C2 length:12 wait:1")):
            assert not texture_of(words, name).any()


class TestHarmony:
    def test_the_last_8_and_the_last_64_notes_are_counted(self, texture_of: TextureOf) -> None:
        c, g = "piano:v72:C4 wait:1 piano:v0:C4", "piano:v72:G4 wait:1 piano:v0:G4"
        assert harmony(texture_of(" ".join([c, c, g]))[-1]) == [{0: 2, 7: 1}, {0: 1}], "those of 64 are halved"
        assert harmony(texture_of(" ".join([*[c] * 40, *[g] * 6]))[-1]) == [{0: 2, 7: 6}, {0: 20, 7: 3}]
        assert harmony(texture_of(" ".join([*[c] * 40, *[g] * 62]))[-1]) == [{7: 8}, {0: 1, 7: 31}]


class TestRecent:
    def test_the_pitches_of_the_last_8_notes_the_latest_first(self, texture_of: TextureOf) -> None:
        words = "piano:v72:C4 wait:12 violin:v80:E4 drums:v80:C2 piano:v0:C4 " + " ".join(
            f"piano:v72:C{octave}" for octave in (1, 2, 3, 5, 6, 7, 9)
        )
        last = texture_of(words)[:, LATEST]
        pitches = [[word >> RECENT_BITS * k & (1 << RECENT_BITS) - 1 for k in range(RECENT)] for word in last.tolist()]
        heard = [[pitch - 1 for pitch in each if pitch] for each in pitches]
        assert heard[:5] == [[C4], [C4], [E4, C4], [E4, C4], [E4, C4]]
        assert heard[-1] == [120, 96, 84, 72, 48, 36, 24, E4]


class TestEcho:
    TUNE = "piano:v72:C4 wait:12 piano:v72:E4 wait:24 piano:v72:G4 wait:12"
    BETWEEN = " ".join(f"violin:v80:{name}{octave} wait:{octave}" for octave in range(1, 8) for name in "CDE")

    def test_the_token_that_followed_the_same_ones_before(self, texture_of: TextureOf, vocabulary: Vocabulary) -> None:
        rows = texture_of(f"{self.TUNE} {self.BETWEEN} {self.TUNE}", "onset")
        assert [echo(row) for row in rows[:-4]] == [None] * (len(rows) - 4), "of two tokens nothing is known"
        assert [echo(row) for row in rows[-4:-1]] == [
            (3, *vocabulary.from_text("wait:24")),
            (3, *vocabulary.from_text("piano:v72:G4")),
            (5, *vocabulary.from_text("wait:12")),
        ]

    def test_velocities_are_left_aside(self, texture_of: TextureOf, vocabulary: Vocabulary) -> None:
        rows = texture_of(f"{self.TUNE} {self.BETWEEN} piano:v80:C4 wait:12 piano:v64:E4", "onset")
        assert echo(rows[-1]) == (3, *vocabulary.from_text("wait:24"))

    def test_instruments_are_not(self, texture_of: TextureOf) -> None:
        rows = texture_of(f"{self.TUNE} {self.BETWEEN} violin:v80:C4 wait:12 piano:v72:E4", "onset")
        assert echo(rows[-1]) is None

    def test_the_latest_answer_counts(self, texture_of: TextureOf, vocabulary: Vocabulary) -> None:
        again = "piano:v72:C4 wait:12 piano:v72:E4 wait:36"
        rows = texture_of(f"{self.TUNE} {self.BETWEEN} {again} {self.BETWEEN} {again}", "onset")
        assert echo(rows[-2])[1] == vocabulary.from_text("wait:36")

    def test_a_note_struck_again_and_again_is_none(self, texture_of: TextureOf) -> None:
        rows = texture_of(" ".join(["piano:v72:C4 wait:12"] * 10), "onset")
        assert [echo(row) for row in rows] == [None] * 20

    @settings(max_examples=10)  # of each of 12 encodings
    @given(data=st.data())
    def test_it_is_what_a_search_finds(self, data: st.DataObject, any_encoding: Encoding) -> None:
        """Over a few ids, so that much is repeated. Contexts that share a slot are forgotten, never mistaken."""
        kinds, values = any_encoding.effects.table.kind, any_encoding.effects.table.value
        ids = data.draw(st.lists(st.sampled_from([1, 2, 130, 300, 400]), min_size=APART, max_size=90))
        keys = [(kinds[i], values[i]) if kinds[i] == NOTE else i for i in ids]
        for position, row in enumerate(texture(np.array(ids, np.uint16), any_encoding)):
            if found := echo(row):
                size, token = found
                last = keys[position + 1 - size : position + 1]
                ends = [end for end in range(size, position - APART + 1) if keys[end - size : end] == last]
                assert ids[ends[-1]] == token


class TestDefinition:
    @settings(max_examples=10)
    @given(data=st.data())
    def test_one_token_at_a_time_it_is_that_of_the_whole(self, data: st.DataObject, any_encoding: Encoding) -> None:
        vocabulary = any_encoding.vocabulary
        length, batch = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 3))
        ids = st.one_of(
            st.integers(0, vocabulary.size), st.integers(0, 300), st.integers(vocabulary.wait_base, vocabulary.size)
        )
        rows = st.lists(ids, min_size=length, max_size=length)
        tokens = np.array(data.draw(st.lists(rows, min_size=batch, max_size=batch)))
        state = TextureState(any_encoding, batch)
        steps = [state.step(tokens[:, position]) for position in range(length // 2)]
        state.keep(np.arange(batch)[::-1])
        steps += [state.step(tokens[::-1, position])[:, ::-1] for position in range(length // 2, length)]
        whole = [texture(row, any_encoding) for row in tokens]
        assert np.array_equal(np.stack(steps), np.stack(whole, axis=-1))

    def test_learned_tokens_do_what_they_stand_for(self, any_encoding: Encoding, music: dict[str, Notes]) -> None:
        """But for echoes, which are of the tokens that are written."""
        for notes in music.values():
            grid = any_encoding.grid(notes)
            plain = any_encoding.write(grid)
            merged, expected = (texture(each, any_encoding)[-1] for each in (any_encoding.merge(plain), plain))
            assert np.array_equal(merged[:ECHO], expected[:ECHO])


class TestWindows:
    def test_a_window_has_the_texture_of_the_tokens_shortly_before_it(
        self, any_encoding: Encoding, music: dict[str, Notes]
    ) -> None:
        piece = max((any_encoding.encode(notes) for notes in music.values()), key=len)
        for wanted in (0, 1, 200, LEAD, LEAD + 1, 700):
            start = min(wanted, len(piece) - HEADER - 1)
            found = window(piece, start, 64, any_encoding)
            first = max(HEADER + start - LEAD, 0)
            expected = texture(piece[first : start + 64], any_encoding)[HEADER + start - first :]
            assert not found[:HEADER].any(), start
            assert np.array_equal(found[HEADER : HEADER + len(expected)], expected), start
            assert not found[HEADER + len(expected) :].any(), start


def window(piece: Tokens, start: int, size: int, encoding: Encoding) -> Integers:
    tokens, parts = side_by_side([piece], [start], [len(piece)])
    out = np.full((1, size, FIELDS), -1)
    lay_out_texture(
        tokens, parts._replace(until=np.array([size]), body=np.array([size])), HEADER, Rules.of(encoding), out
    )
    return out[0]
