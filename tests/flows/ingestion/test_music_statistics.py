"""Statistics that add: five notes counted by hand, and sums that do not depend on who summed what."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.ingestion.music_statistics import HISTOGRAMS, KEYED, Statistics
from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

VOCABULARY = Vocabulary.load("musenet", styles=["bach"])
ENCODING = Combined(VOCABULARY)


def statistics_of(notes: Notes) -> Statistics:
    return Statistics.of(notes, ENCODING.encode(notes, "bach"), VOCABULARY)


def nonzero(counts: np.ndarray) -> dict[int, int]:
    return {index: count for index, count in enumerate(counts.tolist()) if count}


def bins(statistics: Statistics, name: str) -> dict[tuple[float, float], int]:
    """The counts that are not 0, by the edges around them."""
    edges = [-np.inf, *HISTOGRAMS[name], np.inf]
    return {(edges[i], edges[i + 1]): count for i, count in nonzero(statistics[name]).items()}


FIVE = Notes.from_columns(
    onset=[0, 0, 0.5, 1, 1],
    duration=[0.5, 1, 0.25, 1, 0.1],
    pitch=[60, 64, 60, 67, 36],
    velocity=[72, 72, 80, 72, 96],
    program=[0, 0, 0, 40, 0],
    drum=[False, False, False, False, True],
    tempo=90,
)
"""Three notes of a piano, one of a violin, one drum hit; two seconds."""


class TestFiveNotes:
    """Their tokens: 4 of header, 4 notes, 4 note-offs, 1 hit, waits, `end`. A tick is 1/96 s.

    Events lie at ticks 0 (2 on), 48 (off, on), 72 (off), 96 (off, on, drum) and 192 (off): four waits, of
    48, 24, 24 and 96 ticks.
    """

    @pytest.fixture
    def five(self) -> Statistics:
        return statistics_of(FIVE)

    def test_totals(self, five: Statistics) -> None:
        assert (five.pieces, five.notes, five.tokens, five.seconds) == (1, 5, 4 + 8 + 1 + 4 + 1, 2.0)

    def test_pitches_and_programs_are_of_pitched_notes_and_keys_of_hits(self, five: Statistics) -> None:
        assert nonzero(five["pitch"]) == {60: 2, 64: 1, 67: 1}
        assert nonzero(five["program"]) == {0: 3, 40: 1}
        assert nonzero(five["drum_key"]) == {36: 1}

    def test_velocities_are_of_both(self, five: Statistics) -> None:
        assert nonzero(five["velocity"]) == {72: 3, 80: 1, 96: 1}

    def test_lengths_of_notes_without_the_hit(self, five: Statistics) -> None:
        assert bins(five, "note_seconds") == {(0.25, 0.375): 1, (0.5, 0.75): 1, (1, 1.5): 2}

    def test_waits(self, five: Statistics) -> None:
        assert bins(five, "wait_ticks") == {(24, 32): 2, (48, 64): 1, (96, 128): 1}

    def test_the_piece(self, five: Statistics) -> None:
        assert bins(five, "piece_seconds") == {(-np.inf, 5): 1}
        assert bins(five, "piece_tokens") == {(-np.inf, 64): 1}
        assert bins(five, "tempo") == {(90, 100): 1}
        assert bins(five, "notes_per_second") == {(2, 3): 1}  # 5 in 2 s
        assert bins(five, "sounding_notes") == {(1, 1.5): 1}  # 2.75 s of sound in 2 s

    def test_kinds_of_tokens(self, five: Statistics) -> None:
        kinds = {"note": 4, "note-off": 4, "drum hit": 1, "wait": 4, "header, tempo, end": 5}
        assert five.token_kinds(VOCABULARY) == kinds

    def test_notes_by_instrument(self, five: Statistics) -> None:
        found = five.instrument_notes(VOCABULARY)
        assert {name: count for name, count in found.items() if count} == {"piano": 3, "violin": 1, "drums": 1}


@pytest.mark.parametrize("edge", HISTOGRAMS["note_seconds"])
def test_a_length_on_an_edge_is_in_the_bin_above_it(edge: float) -> None:
    for seconds, below in ((edge, 0), (np.nextafter(edge, 0), 1)):
        counts = statistics_of(Notes.from_columns([0], [seconds], [60], [80], [0], [False]))["note_seconds"]
        assert nonzero(counts) == {HISTOGRAMS["note_seconds"].index(edge) + 1 - below: 1}


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e5])
def test_lengths_beyond_all_edges_are_counted(seconds: float) -> None:
    counts = statistics_of(Notes.from_columns([0], [seconds], [60], [80], [0], [False]))["note_seconds"]
    assert nonzero(counts) == {0 if seconds < 1 else len(HISTOGRAMS["note_seconds"]): 1}


def test_edges_rise() -> None:
    for edges in HISTOGRAMS.values():
        assert all(left < right for left, right in pairwise(edges))


def test_drums_alone_have_no_pitch() -> None:
    found = statistics_of(Notes.from_columns([0, 1], [0.1, 0.1], [36, 38], [80, 80], [0, 0], [True, True]))
    assert found.notes == 2
    assert not found["pitch"].any() and not found["program"].any() and not found["note_seconds"].any()
    assert found.token_kinds(VOCABULARY)["drum hit"] == 2


def pieces() -> st.SearchStrategy[Statistics]:
    rows = st.tuples(
        st.floats(0, 500),
        st.floats(0, 20),
        st.integers(0, 127),
        st.integers(1, 127),
        st.integers(0, 127),
        st.booleans(),
    )
    lists = st.lists(rows, min_size=1, max_size=20)
    return lists.map(lambda found: statistics_of(Notes.from_columns(*zip(*found))))


@settings(deadline=None, max_examples=40)
@given(st.lists(pieces(), max_size=5))
def test_the_statistics_of_all_are_the_sum_in_any_order_and_grouping(found: list[Statistics]) -> None:
    whole = sum(found, Statistics())
    assert sum(reversed(found), Statistics()) == whole
    assert sum(found[:2], Statistics()) + sum(found[2:], Statistics()) == whole
    assert whole.pieces == len(found)
    assert whole.notes == sum(piece.notes for piece in found)
    assert whole.seconds == pytest.approx(sum(piece.seconds for piece in found))
    for name in ("piece_seconds", "piece_tokens", "tempo", "notes_per_second", "sounding_notes"):
        assert whole[name].sum() == whole.pieces
    assert whole["pitch"].sum() + whole["drum_key"].sum() == whole["velocity"].sum() == whole.notes
    assert whole["note_seconds"].sum() == whole["program"].sum() == whole["pitch"].sum()
    assert sum(whole.token_kinds(VOCABULARY).values()) == whole.tokens


@settings(deadline=None, max_examples=40)
@given(st.lists(pieces(), max_size=3))
def test_they_come_back_from_json(found: list[Statistics]) -> None:
    whole = sum(found, Statistics())
    assert Statistics.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_json_names_the_bins() -> None:
    data = statistics_of(FIVE).to_dict()
    assert data["pitch"] == [0] * 60 + [2, 0, 0, 0, 1, 0, 0, 1]
    assert set(KEYED) <= set(data)
    assert len(data["tempo"]["counts"]) == len(data["tempo"]["edges"]) + 1
    assert data["tempo"]["edges"] == list(range(30, 310, 10))


def test_statistics_with_other_bins_are_refused() -> None:
    data = statistics_of(FIVE).to_dict()
    data["tempo"]["edges"][0] = 20
    with pytest.raises(ValueError, match="the statistics of tempo have other bins"):
        Statistics.from_dict(data)
