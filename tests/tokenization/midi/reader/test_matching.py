"""Note-ons and note-offs of which some are lost: which notes have no note-off, and how long the others are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.midi import Repair, read_score

FileOf = Callable[..., bytes]
ON, OFF, ALL_OFF = "on", "off", "all off"
BYTES = {ON: b"\x90\x3c\x50", OFF: b"\x80\x3c\x40", ALL_OFF: b"\xb0\x7b\x00"}
Action = tuple[int, str]
"""Tick and kind of a message for one pitch."""
HANGING = -1


def lengths(actions: list[Action], file_of: FileOf) -> list[int]:
    """The lengths of the notes in the order of their note-ons; those that hang are as long as a beat, 480 ticks.

    The velocity tells notes of one tick apart.
    """
    events = []
    velocity = 1
    for tick, kind in actions:
        events.append((tick, BYTES[kind][:2] + bytes([velocity]) if kind == ON else BYTES[kind]))
        velocity += kind == ON
    score = read_score(file_of([*events, (10_000, b"\xb0\x07\x40")]))
    by_velocity = dict(zip(score.velocity.tolist(), score.length.tolist()))
    return [by_velocity[velocity] for velocity in sorted(by_velocity)]


def best(actions: list[Action]) -> list[int]:
    """The lengths by trying all pairings; HANGING for notes without a note-off, of equals the first."""
    ons = [index for index, (_, kind) in enumerate(actions) if kind == ON]
    offs = [index for index, (_, kind) in enumerate(actions) if kind == OFF]
    choices = []
    for count in range(len(ons) + 1):
        for chosen in combinations(ons, count):
            for ends in combinations(offs, count):
                if all(on < off for on, off in zip(chosen, ends)):
                    time = sum(actions[off][0] - actions[on][0] for on, off in zip(chosen, ends))
                    choices.append((-count, time, -sum(chosen), dict(zip(chosen, ends))))
    pairs = min(choices, key=lambda choice: choice[:3])[3]
    return [actions[pairs[on]][0] - actions[on][0] if on in pairs else HANGING for on in ons]


def test_a_lost_note_off_does_not_stretch_the_notes_after_it(file_of: FileOf) -> None:
    later = [(1000 * index + after, kind) for index in range(1, 9) for after, kind in ((0, ON), (60, OFF))]
    assert lengths([(0, ON), *later], file_of) == [480, *[60] * 8]
    before = [(100, ON), (130, OFF)]
    assert lengths([*before, (200, ON), *later], file_of) == [30, 480, *[60] * 8]


def test_it_is_repaired(file_of: FileOf) -> None:
    data = file_of([(0, BYTES[ON]), (100, BYTES[ON]), (160, BYTES[OFF])])
    assert read_score(data).repairs == (Repair.HANGING_NOTE,)


def test_where_nothing_is_lost_the_oldest_ends_first(file_of: FileOf) -> None:
    assert lengths([(0, ON), (10, ON), (30, OFF), (60, OFF), (70, ON), (80, OFF)], file_of) == [30, 50, 10]


def test_so_it_does_among_the_notes_that_are_paired(file_of: FileOf) -> None:
    assert lengths([(0, ON), (600, ON), (610, ON), (630, OFF), (660, OFF)], file_of) == [480, 30, 50]


def test_a_note_at_the_end_hangs_if_all_before_it_are_ended(file_of: FileOf) -> None:
    assert lengths([(0, ON), (10, OFF), (20, ON), (30, OFF), (40, ON)], file_of) == [10, 10, 480]


def test_all_notes_off_ends_what_the_best_pairing_leaves(file_of: FileOf) -> None:
    actions = [(0, ON), (100, ON), (160, OFF), (200, ON), (260, OFF), (300, ALL_OFF), (400, ON), (410, OFF)]
    assert lengths(actions, file_of) == [300, 60, 60, 10]


def test_but_not_a_note_of_long_ago_whose_pitch_was_ended_since(file_of: FileOf) -> None:
    later = [(100, ON), (160, OFF), (5000, ALL_OFF)]
    assert lengths([(0, ON), *later], file_of) == [480, 60]
    assert lengths([*later[:2], (200, ON), later[2]], file_of) == [60, 4800]  # nothing says that its note-off is lost


@pytest.mark.parametrize("times", [1, 3])
def test_a_note_that_begins_with_all_notes_off_goes_on(times: int, file_of: FileOf) -> None:
    together = [(300, ON), *[(300, ALL_OFF)] * times, (350, OFF)]
    assert lengths([(0, ON), (100, ON), (160, OFF), *together], file_of) == [300, 60, 50]


def test_other_pitches_channels_and_tracks_have_note_offs_of_their_own(file_of: FileOf) -> None:
    lost = [(0, BYTES[ON]), (100, BYTES[ON]), (160, BYTES[OFF])]
    crossing = [
        (0, b"\x90\x3d\x51"),
        (10, b"\x91\x3c\x52"),
        (60, b"\x90\x3d\x00"),
        (90, b"\x91\x3c\x00"),
        (999, b"\xb0\x07\x40"),
    ]
    score = read_score(
        file_of(sorted(lost + crossing, key=lambda event: event[0]), [(5, b"\x90\x3c\x53"), (7, BYTES[OFF])])
    )
    found = sorted(zip(score.velocity.tolist(), score.length.tolist()))
    assert found == [(80, 60), (80, 480), (81, 60), (82, 80), (83, 2)]


ACTIONS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([ON, ON, OFF])), min_size=1, max_size=9)


@given(drawn=ACTIONS)
def test_the_pairing_is_the_best_of_all(drawn: list[Action], file_of: FileOf) -> None:
    actions = sorted(drawn, key=lambda action: action[0])
    expected = best(actions)
    if expected:
        assert lengths(actions, file_of) == [480 if length == HANGING else length for length in expected]
