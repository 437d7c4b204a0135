"""Compositions under the headers of held-out pieces, drawn from noise, which plays whatever it is let."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flows.evaluation.baselines.executors import noise_executor
from flows.evaluation.compositions import Composing, compose_group
from flows.evaluation.groups import RealGroup, RealPiece
from flows.evaluation.measuring import asked_sounding
from flows.evaluation.settings import EvaluationSettings
from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

PROGRAMS = (0, 24, 32, 40, 56, 68, 73)
"""Piano, guitar, bass, violin, trumpet, oboe, flute."""
SETTINGS = EvaluationSettings(pieces=24, length=64)


def test_the_groups_that_a_header_names_are_suggested(tmp_path: Path) -> None:
    vocabulary = Vocabulary.load("musenet", styles=["bach"])
    encoding, count = Combined(vocabulary), len(PROGRAMS)
    columns = (np.arange(count) / 4, np.full(count, 0.2), np.full(count, 60))
    notes = Notes.from_columns(*columns, [80] * count, PROGRAMS, [False] * count)
    held_out = RealPiece("0" * 64, "family", "bach", encoding.encode(notes, "bach"))

    def share_of_groups_heard(suggest: bool) -> float:
        settings = SETTINGS.model_copy(update={"suggest": suggest})
        composing = Composing(noise_executor(vocabulary.size), encoding, 128)
        group = RealGroup("style", [held_out], [])
        made = compose_group(
            tmp_path / str(suggest), lambda: composing, encoding, encoding, group, 24, settings, lambda _: None
        )
        return float(np.mean([asked_sounding(each, encoding.decode(each), vocabulary) for each in made.pieces]))

    bare = share_of_groups_heard(suggest=False)
    assert share_of_groups_heard(suggest=True) > bare + 0.1
