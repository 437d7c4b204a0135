"""Forms: which section of a piece recalls which earlier one, written in letters or drawn by a seed.

Networks of some thousand tokens compose bars that follow from the last ones and seldom come back to earlier ones, as
songs, dances and hymns do. A form says when to come back; `modeling.controls.recall` makes it likelier.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SECTIONS: Final = 512
"""Sections of a piece that a form says something of; those behind them recall none."""
RETURNS: Final = 0.4
"""Mean share of the sections of a piece that recall an earlier one where nothing is said."""
SECTION_BARS: Final = 4
"""Bars of a section where nothing is said."""
NEW: Final = -1
"""In a plan: a section that recalls none."""
ALIKE: Final = 2.5
"""Sum of the parameters of the beta distribution of that share: the higher, the more alike pieces are. In some hardly
any section comes back and in others nearly all do, as in real ones."""
LEAST_RETURNS: Final = 0.01
"""Least mean share, and 1 less the greatest: a beta distribution has none of 0 and 1."""
BACK: Final = (0.15, 0.25, 0.2, 0.4)
"""How often that is the one before, the second one before, and so on."""
LENGTHS: Final = (0.5, 1.0, 1.5)
"""Lengths of a piece's sections where no form is written, as multiples of the one that is set: real pieces come back by
two, four or six bars."""
LENGTH_SHARES: Final = (0.2, 0.4, 0.4)
STREAM: Final = 0x666F726D
"""Sets the random numbers of forms apart from those of tokens."""
LETTERS: Final = re.compile(r"[A-Za-z]{1,64}")


def parse_form(text: str) -> tuple[int, ...]:
    """Return the plan of a form in letters, `AABA`: for each section the first one with its letter, or NEW.

    Raises ValueError.
    """
    letters = text.replace(" ", "")
    if not LETTERS.fullmatch(letters):
        raise ValueError(f"no form {text!r}; write a letter for each section, at most 64, such as AABA")
    firsts = [letters.index(letter) for letter in letters]
    return tuple(NEW if first == number else first for number, first in enumerate(firsts))


class Plans(NamedTuple):
    """The forms of pieces."""

    recalled: NDArray[np.int64]
    """The section that each one recalls, or NEW, shape (pieces, sections)."""
    bars: NDArray[np.int64]
    """Bars of a section, shape (pieces,)."""


def plans_of(
    form: str | None, section_bars: int, returns: NDArray[np.float64], seed: int, numbers: NDArray[np.int64]
) -> Plans:
    """Return the forms of pieces with these numbers, of SECTIONS sections.

    One in letters is gone through over and over, in sections of `section_bars`. Without one, a plan and the length of
    its sections are drawn by seed, number and `returns` alone: the mean share of sections that recall an earlier one,
    shape (pieces,).
    """
    if form is not None:
        once = np.array(parse_form(form), np.int64)
        rest = np.resize(np.where(once == NEW, np.arange(len(once)), once), SECTIONS - len(once))
        return Plans(np.tile(np.append(once, rest), (len(numbers), 1)), np.full(len(numbers), section_bars))
    plans = np.empty((len(numbers), SECTIONS), np.int64)
    lengths = np.empty(len(numbers))
    sections = np.arange(SECTIONS)
    means = np.clip(returns, LEAST_RETURNS, 1 - LEAST_RETURNS)
    for row, (number, mean) in enumerate(zip(numbers.tolist(), means.tolist(), strict=True)):
        random = np.random.default_rng((STREAM, seed % 2**64, number))
        back = 1 + random.choice(len(BACK), SECTIONS, p=BACK)
        share = random.beta(ALIKE * mean, ALIKE * (1 - mean))
        recalls = (random.random(SECTIONS) < share) & (sections > 0)
        plans[row] = np.where(recalls, np.maximum(sections - back, 0), NEW)
        lengths[row] = random.choice(LENGTHS, p=LENGTH_SHARES)
    return Plans(plans, np.maximum(np.rint(section_bars * lengths).astype(np.int64), 1))
