"""Tokens of OpenAI's service as its clients read them: stacked notes of one pitch, and other clocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.encodings import get_encoding
from tokenization.encodings.combined import Combined
from tokenization.encodings.grid import DRUM_TICKS
from tokenization.vocabulary import Vocabulary, VocabularyError

ON, LOUDER, OFF, DRUM, WAIT, OTHER = 7 * 128 + 60, 9 * 128 + 60, 60, 3840 + 36, 3968, 14 * 128 + 60
Row = tuple[int, int, int, int]
"""Start and end in ticks, pitch, velocity."""


def rows(encoding: Combined, ids: list[int], stacked: bool = True) -> list[Row]:
    notes = encoding.decode(np.array(ids, np.uint16), stacked=stacked)
    start, end = np.rint(notes.onset * 96).astype(int), np.rint((notes.onset + notes.duration) * 96).astype(int)
    return sorted(zip(start.tolist(), end.tolist(), notes.pitch.tolist(), notes.velocity.tolist()))


def specified(ids: list[int], vocabulary: Vocabulary) -> list[Row]:
    """Token by token, with a list of the notes that sound for each instrument and pitch."""
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = {}
    found, now = [], 0
    for token in ids:
        row, pitch = divmod(token, 128)
        if token >= WAIT:
            now += token - WAIT + 1
        elif token >= 3840:
            found.append((now, now + DRUM_TICKS, pitch, 80))
        else:
            velocity, key = int(vocabulary.row_velocity[row]), (int(vocabulary.row_instrument[row]), pitch)
            if velocity:
                sounding.setdefault(key, []).append((now, velocity))
            elif sounding.get(key):
                start, velocity = sounding[key].pop(0)
                found.append((start, now, pitch, velocity))
    found += [(start, now, key[1], velocity) for key, notes in sounding.items() for start, velocity in notes]
    return sorted(row for row in found if row[1] > row[0])


def test_a_note_off_ends_the_oldest_note_of_its_pitch(encoding: Combined) -> None:
    ids = [ON, WAIT + 9, LOUDER, WAIT + 9, OFF, WAIT + 9, OFF, WAIT + 9, OFF]
    assert rows(encoding, ids) == [(0, 20, 60, 72), (10, 30, 60, 88)]
    assert rows(encoding, ids, stacked=False) == [(0, 10, 60, 72), (10, 20, 60, 88)]


def test_what_still_sounds_ends_with_the_sequence(encoding: Combined) -> None:
    assert rows(encoding, [ON, WAIT + 9, ON, WAIT + 9]) == [(0, 20, 60, 72), (10, 20, 60, 72)]


@given(ids=st.lists(st.sampled_from([ON, ON, LOUDER, OFF, OFF, DRUM, OTHER, WAIT, WAIT + 7]), max_size=40))
def test_it_is_as_specified_token_by_token(ids: list[int], encoding: Combined) -> None:
    assert rows(encoding, ids) == specified(ids, encoding.vocabulary)


@given(ids=st.lists(st.sampled_from([ON, OFF, OFF, OTHER, WAIT, WAIT + 7]), max_size=20))
def test_where_nothing_is_struck_while_it_sounds_it_is_the_same(ids: list[int], encoding: Combined) -> None:
    apart = [
        token
        for one in ids
        for token in ((OFF, one) if one == ON else (15 * 128 + 60, one) if one == OTHER else (one,))
    ]
    assert rows(encoding, apart) == rows(encoding, apart, stacked=False)


@pytest.mark.parametrize("tick", [1 / 96, 1 / 100, 0.00923081517])
def test_a_tick_may_be_chosen(tick: float, encoding: Combined) -> None:
    notes = encoding.decode(np.array([WAIT + 95, ON, WAIT + 47, OFF], np.uint16), tick=tick)
    assert (notes.onset[0], notes.duration[0]) == pytest.approx((96 * tick, 48 * tick))


def test_what_makes_no_sense_is_refused(vocabulary: Vocabulary, encoding: Combined) -> None:
    ids = np.array([ON, WAIT, OFF], np.uint16)
    with pytest.raises(VocabularyError, match="a tick in seconds says nothing where ticks are parts of a beat"):
        get_encoding("combined", vocabulary, "beats").decode(ids, tick=0.01)
    for tick in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(VocabularyError, match="is no time"):
            encoding.decode(ids, tick=tick)
    with pytest.raises(VocabularyError, match="'onset' has no note-offs"):
        get_encoding("onset", vocabulary).decode(ids, stacked=True)
