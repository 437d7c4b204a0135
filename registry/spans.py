"""Spans of a piece in seconds or in bars, as text: `12s-20s`, `4bars-8bars`, `30s-` (to the end)."""

from __future__ import annotations

import re
from typing import NamedTuple

from modeling.controls import BEATS_PER_BAR
from tokenization.midi.notes import Notes

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|bars?)?\s*-\s*(?:(\d+(?:\.\d+)?)\s*(s|bars?)?)?\s*")


class Span(NamedTuple):
    """A part of a piece, counted from its first note."""

    begin: float
    end: float
    in_bars: bool
    """True for bars of four beats, of which `4bars-8bars` are the fifth to the eighth; False for seconds."""

    def seconds(self, notes: Notes) -> tuple[float, float]:
        """Return begin and end in seconds from the first note on, in bars at the tempos of a piece."""
        if not self.in_bars:
            return self.begin, self.end
        from modeling.generation.prompt import seconds_of_beats

        begin, end = (seconds_of_beats(notes, bars * BEATS_PER_BAR) for bars in (self.begin, self.end))
        return begin, end


def parse_span(text: str) -> Span:
    """Read a span; without a unit it is in seconds. Raises ValueError."""
    found = _SPAN.fullmatch(text)
    units = {unit.rstrip("s") for unit in (found[2], found[4]) if unit} if found else set()
    if found is None or len(units) > 1:
        raise ValueError(f"no span {text!r}; write seconds, `12s-20s`, or bars, `4bars-8bars`, or `30s-` to the end")
    span = Span(float(found[1]), float(found[3] or "inf"), units == {"bar"})
    if span.begin >= span.end:
        raise ValueError(f"the span {text} ends before it begins")
    return span
