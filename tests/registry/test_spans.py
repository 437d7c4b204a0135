"""Spans of a piece as a user writes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from registry.spans import Span, parse_span
from tokenization.midi.notes import Notes, TempoMap


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("12s-20s", Span(12, 20, False)),
        ("12-20.5", Span(12, 20.5, False)),
        (" 0 s - 3 s ", Span(0, 3, False)),
        ("30s-", Span(30, math.inf, False)),
        ("4bars-8bars", Span(4, 8, True)),
        ("4-8bars", Span(4, 8, True)),
        ("1bar-", Span(1, math.inf, True)),
    ],
)
def test_are_in_seconds_or_bars(text: str, span: Span) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("soon", "no span 'soon'; write seconds, `12s-20s`, or bars"),
        ("12s", "no span '12s'"),
        ("4bars-8s", "no span '4bars-8s'"),
        ("-12s", "no span"),
        ("8s-8s", "the span 8s-8s ends before it begins"),
    ],
)
def test_others_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_span(text)


def test_bars_take_the_tempos_of_the_piece() -> None:
    """120 beats a minute up to second 5, 60 from then on; the first note is at second 1."""
    tempos = TempoMap(np.array([0.0, 5.0]), np.array([120.0, 60.0]))
    onset = np.array([1.0, 9.0])
    notes = Notes.from_columns(onset, onset * 0 + 1, [60] * 2, [80] * 2, [0] * 2, [False] * 2, tempo_map=tempos)
    assert parse_span("1bars-3bars").seconds(notes) == (2, 8)
    assert parse_span("2bars-").seconds(notes) == (4, math.inf)
    assert parse_span("1s-3s").seconds(notes) == (1, 3)
