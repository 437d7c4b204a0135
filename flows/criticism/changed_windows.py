"""Real windows changed: damaged, under the header of another style, or in what should not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modeling.criticism import Window
from modeling.criticism.lessons import LEAST_NOTES, changed, damaged, other_styles
from tokenization.augmentation import Variant, apply
from tokenization.damages import Damage
from tokenization.encodings import Encoding
from tokenization.midi.notes import Notes

STREAM = 301
HIGHEST = 127
"""Of MIDI's pitches."""


def damaged_windows(
    windows: Sequence[Window], damage: Damage, encoding: Encoding, seed: int, is_cue: bool = False
) -> list[Window | None]:
    """Return windows of the damaged pieces at the same places; None for pieces of few notes, and where the damage has
    changed nothing. `is_cue`: of a change that should not count, windows that it leaves as they are stay, too."""
    random = np.random.default_rng([seed, STREAM])
    after = changed if is_cue else damaged
    return [
        after(window, damage, encoding, random) if len(encoding.decode(window.tokens)) >= LEAST_NOTES else None
        for window in windows
    ]


def restyled_windows(windows: Sequence[Window], encoding: Encoding) -> list[Window | None]:
    """Return windows under the headers of other styles, of one after the other; None where there is no other."""
    found: list[Window | None] = []
    for number, window in enumerate(windows):
        others, tokens = other_styles(window.tokens, encoding), window.tokens.copy()
        tokens[0] = others[number % len(others)] if others else tokens[0]
        found.append(replace(window, tokens=tokens, is_real=False) if others else None)
    return found


def decoded(notes: Notes, random: np.random.Generator) -> Notes:
    """Return the notes as they are: the damage is decoding and encoding them."""
    return notes


def higher(notes: Notes, random: np.random.Generator) -> Notes:
    """Transpose by two semitones, up where MIDI reaches as far."""
    return apply(notes, Variant(2 if notes.pitch.max(initial=0) <= HIGHEST - 2 else -2))


def louder(notes: Notes, random: np.random.Generator) -> Notes:
    """Add eight to all velocities."""
    return apply(notes, Variant(0, 8))


def faster(notes: Notes, random: np.random.Generator) -> Notes:
    """Shorten all times by seven hundredths."""
    return apply(notes, Variant(0, 0, 0.93))


CUES: tuple[Damage, ...] = (decoded, higher, louder, faster)
"""Changes that should not count."""
