"""Prefixes: every note is told once, as it is in the whole piece, with the first token behind which it is final."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.encodings import HEADER, Encoding, Time, get_encoding
from tokenization.encodings.combined import Combined
from tokenization.encodings.grid import Grid
from tokenization.encodings.prefix import PrefixReader
from tokenization.midi.notes import Notes, TempoMap
from tokenization.vocabulary import Tokens, Vocabulary

Rows = Counter[tuple[float, ...]]
NOTES = "piano:v72:C4 piano:v104:C4 piano:v0:C4 piano:v72:E4 piano:v0:E4 violin:v80:C4 drums:v80:C2"


def rows(notes: Notes) -> Rows:
    """Rows without rounding: that a note is told is no reason for another time."""
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum)
    return Counter(zip(*(column.tolist() for column in columns)))


def start_of(row: tuple[float, ...]) -> tuple[float, ...]:
    onset, _, pitch, velocity, program, drum = row
    return onset, pitch, velocity, program, drum


def over_at(encoding: Encoding, tokens: Tokens) -> Rows:
    """The notes of a whole piece that end before its last tick or, where lengths are written, begin before it."""
    grid = encoding.read(encoding.expand(tokens))
    known = grid.start if encoding.writes_lengths else grid.end
    return rows(encoding.notes_of(grid.taken(known < encoding.effects.ticks[tokens].sum())))


def assert_told_once(encoding: Encoding, tokens: Tokens, given: int, step: int) -> None:
    """Compare what is told with what is over, after every `step` tokens."""
    reader = PrefixReader(encoding, tokens[:given])
    prompt = {start_of(row) for row in rows(encoding.decode(tokens[:given]))}
    told: Rows = Counter()
    for begin in range(given, len(tokens), step):
        told += rows(reader.read(tokens[begin : begin + step]))
        over = over_at(encoding, tokens[: begin + step])
        assert told == Counter({row: count for row, count in over.items() if start_of(row) not in prompt})


@pytest.mark.parametrize(("given", "step"), [(HEADER, 1), (61, 7)])
def test_notes_come_as_soon_as_they_are_over(
    given: int, step: int, any_encoding: Encoding, music: dict[str, Notes]
) -> None:
    assert_told_once(any_encoding, any_encoding.encode(music["ok_type1_drums.mid"])[:180], given, step)


@given(data=st.data())
def test_whatever_the_tokens_are(data: st.DataObject, vocabulary: Vocabulary) -> None:
    encoding = get_encoding(
        data.draw(st.sampled_from(["combined", "onset"])), vocabulary, data.draw(st.sampled_from([*Time]))
    )
    ids = encoding.vocabulary
    events = f"{NOTES} wait:1 wait:7 wait:128 tempo60 tempo180".split()
    tokens = ids.from_text(" ".join(data.draw(st.lists(st.sampled_from(events), min_size=1, max_size=40))))
    assert_told_once(encoding, tokens, data.draw(st.integers(0, len(tokens))), data.draw(st.integers(1, 5)))


def test_tempos_that_have_passed_count(vocabulary: Vocabulary, make_notes: Callable[..., Notes]) -> None:
    tune = make_notes([(beat / 2, 0.25, 60 + beat % 12, 72, 0, False) for beat in range(64)])
    tempos = TempoMap(np.array([0.0, 4.0, 9.0, 20.0]), np.array([60.0, 180.0, 90.0, 120.0]))
    slower = replace(tune, tempo_map=tempos)
    for name in ("combined", "note", "onset"):
        encoding = get_encoding(name, vocabulary, Time.BEATS)
        assert_told_once(encoding, encoding.encode(slower), HEADER, 1)


def test_what_is_read_again_does_not_grow(
    encoding: Combined, make_notes: Callable[..., Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = encoding.encode(make_notes([(n / 8, 0.2, 60 + n % 7, 72, 0, False) for n in range(500)]))
    read, sizes = Combined.read, list[int]()

    def counted(self: Combined, tokens: Tokens) -> Grid:
        sizes.append(len(tokens))
        return read(self, tokens)

    monkeypatch.setattr(Combined, "read", counted)
    reader = PrefixReader(encoding, tokens[:HEADER])
    for token in tokens[HEADER:]:
        reader.read(np.array([token], np.uint16))
    assert max(sizes) < 12
