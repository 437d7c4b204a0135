"""Conversion of scores: what a MIDI channel can play of printed notes."""

from __future__ import annotations

from flows.ingestion.starter.score_to_midi import Note, sounding


def test_a_pitch_never_sounds_twice_at_once() -> None:
    unison = [Note(0, 60, 480), Note(0, 60, 960)]
    struck_again = [Note(1440, 62, 2400), Note(1920, 62, 2400)]
    assert sounding(unison + struck_again) == [
        Note(0, 60, 960),
        Note(1440, 62, 1920),
        Note(1920, 62, 2400),
    ]


def test_a_tie_joins_only_notes_that_meet() -> None:
    met = [Note(0, 60, 480), Note(480, 60, 960, tied=True), Note(960, 60, 1440, tied=True)]
    apart = [Note(0, 62, 480), Note(960, 62, 1440, tied=True)]
    assert sounding(met + apart) == [Note(0, 60, 1440), Note(0, 62, 480), Note(960, 62, 1440)]
