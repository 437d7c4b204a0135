"""Notes are told as soon as they are final: when they have ended or, where tokens tell their lengths, have begun."""

from __future__ import annotations

import numpy as np
import pytest

from modeling.generation.generate import Step
from registry.serving.jobs import Told
from registry.serving.listening import NoteStream
from tokenization.encodings import HEADER, get_encoding
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

PIECE = Notes.from_columns([0.0, 1.0, 1.5], [2.0, 0.25, 0.25], [48, 60, 64], [80] * 3, [0] * 3, [False] * 3)
"""A long note, and two short ones while it sounds."""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("combined", {1.5: [1.0], 2.0: [1.5]}),  # the long note ends with the piece
        ("note", {1.0: [0.0], 1.5: [1.0]}),  # no time passes behind the last note
    ],
)
def test_a_note_is_told_once_it_is_final(name: str, told: dict[float, list[float]]) -> None:
    encoding = get_encoding(name, Vocabulary.load("musenet"))
    tokens = encoding.encode(PIECE)
    seconds = encoding.features(tokens).time / encoding.ticks_per_second
    stream = NoteStream(encoding, tokens[:HEADER])
    found = {}
    for position in range(HEADER, len(tokens) - 1):
        own = slice(position, position + 1)
        step = Step(position, np.zeros(1, np.int64), tokens[own].astype(np.int64), seconds[own])
        for heard in stream.take([Told([0], step)]):
            found[heard.seconds] = [note[0] for note in heard.notes]
    assert found == told
