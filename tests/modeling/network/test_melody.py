"""The melody head: what it adds to the logits of pitches, by hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modeling.network.melody import INTERVALS, REACH, MelodyHead
from tokenization.encodings.texture import CLASSES, COUNT_BITS, FIELDS, HARMONY, LATEST, RECENT_BITS

WIDTH = 8


def heard(*pitches: int) -> Tensor:
    """The texture behind notes of these pitches, the latest first, without their pitch classes."""
    words = torch.zeros(1, FIELDS, dtype=torch.int64)
    words[0, LATEST] = sum((pitch + 1) << RECENT_BITS * number for number, pitch in enumerate(pitches))
    return words


def head(notes: int) -> MelodyHead:
    made = MelodyHead(WIDTH, notes, rows=3)
    torch.nn.init.zeros_(made.weight)
    return made


def added(made: MelodyHead, *pitches: int) -> dict[int, float]:
    """What is added behind notes of these pitches, by pitch, where it is not 0."""
    with torch.no_grad():
        found = made(torch.zeros(1, WIDTH), heard(*pitches)).pitch[0]
    return {pitch: value for pitch, value in enumerate(found.tolist()) if value}


def test_an_interval_is_worth_the_same_from_every_pitch() -> None:
    made = head(1)
    with torch.no_grad():
        made.bias[REACH + 2], made.bias[REACH - 1] = 3.0, -2.0
    for latest in (36, 60, 61):
        assert added(made, latest) == {latest + 2: 3.0, latest - 1: -2.0}


def test_all_of_the_last_notes_count_each_by_intervals_of_its_own() -> None:
    made = head(2)
    with torch.no_grad():
        made.bias[REACH + 1], made.bias[INTERVALS + REACH - 1] = 1.0, 10.0
    assert added(made, 60, 62) == {61: 11.0}


def test_it_reaches_two_octaves_and_the_end_of_the_keyboard() -> None:
    made = head(1)
    with torch.no_grad():
        made.bias[:INTERVALS] = 1.0
    assert added(made, 60) == dict.fromkeys(range(36, 85), 1.0)
    assert added(made, 120) == dict.fromkeys(range(96, 128), 1.0)
    assert added(made, 3) == dict.fromkeys(range(28), 1.0)


def test_pitch_classes_that_were_heard_count_by_their_interval_and_number() -> None:
    made = head(1)
    with torch.no_grad():
        made.bias[INTERVALS + 0], made.bias[INTERVALS + CLASSES + 7] = 1.0, 10.0
    words = torch.zeros(1, FIELDS, dtype=torch.int64)
    words[0, HARMONY.start] = 3 << COUNT_BITS * 11  # three Bs among the last few
    words[0, HARMONY.start + 1] = 5 << COUNT_BITS * 0  # ten Cs among the last many
    with torch.no_grad():
        found = made(torch.zeros(1, WIDTH), words).pitch[0]
    expected = torch.zeros(128)
    expected[11::12], expected[7::12] = math.log(1 + 3), 10 * math.log(1 + 5)
    torch.testing.assert_close(found, expected)


def test_before_the_first_note_it_adds_nothing() -> None:
    made = head(2)
    torch.nn.init.ones_(made.bias)
    assert added(made) == {}


def test_what_is_likely_depends_on_the_state() -> None:
    made = head(1)
    with torch.no_grad():
        made.weight[REACH + 7, 3] = 2.0
    states = torch.zeros(2, WIDTH)
    states[1, 3] = 0.5
    found = made(states, heard(60).expand(2, FIELDS)).pitch
    assert found[:, 67].tolist() == [0.0, 1.0]
