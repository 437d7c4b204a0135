"""Forms: which section of a piece recalls which earlier one, written in letters or drawn by a seed.

Networks of some thousand tokens compose bars that follow from the last ones and seldom come back to earlier ones, as
songs, dances and hymns do. A form says when to come back; `modeling.controls.recall` makes it likelier.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

SECTIONS: Final = 512
"""Sections of a piece that a form says something of; those behind them recall none."""
NEW: Final = -1
"""In a plan: a section that recalls none."""
RETURNS: Final = (1.0, 1.5)
"""Of the beta distribution of the share of a piece's sections that recall an earlier one, where no form is written:
two of five in the mean, but in some pieces hardly any, and in others nearly all, as in real ones."""
BACK: Final = (0.15, 0.25, 0.2, 0.4)
"""How often that is the one before, the second one before, and so on."""
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


def plans_of(form: str | None, seed: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the section that each one recalls, or NEW, of pieces with these numbers, shape (pieces, SECTIONS).

    A form in letters is gone through over and over. Without one, a plan is drawn by seed and number alone.
    """
    if form is not None:
        once = np.array(parse_form(form), np.int64)
        rest = np.resize(np.where(once == NEW, np.arange(len(once)), once), SECTIONS - len(once))
        return np.tile(np.append(once, rest), (len(numbers), 1))
    plans = np.empty((len(numbers), SECTIONS), np.int64)
    sections = np.arange(SECTIONS)
    for plan, number in zip(plans, numbers.tolist()):
        random = np.random.default_rng((STREAM, seed % 2**64, number))
        back = 1 + random.choice(len(BACK), SECTIONS, p=BACK)
        share = random.beta(*RETURNS)
        recalls = (random.random(SECTIONS) < share) & (sections > 0)
        plan[:] = np.where(recalls, np.maximum(sections - back, 0), NEW)
    return plans
