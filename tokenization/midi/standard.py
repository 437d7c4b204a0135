"""Numbers that the MIDI standard fixes."""

from __future__ import annotations

DEFAULT_TEMPO = 120.0
"""Beats per minute of a file that states no tempo (Standard MIDI Files 1.0)."""
MICROSECONDS_PER_MINUTE = 60_000_000
DEFAULT_BEAT = MICROSECONDS_PER_MINUTE / DEFAULT_TEMPO
"""Microseconds per quarter note of a file that states no tempo."""
DRUM_CHANNEL = 9
"""Channel 10, counted from 0: percussion in General MIDI."""
