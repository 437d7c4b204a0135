"""The windows of generations, and the real ones in whose places they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modeling.archive import Generation, generated_of
from modeling.criticism import Window
from modeling.data import Split


def windows_of(generations: Sequence[Generation], split: Split) -> tuple[list[Window], list[Window]]:
    """Return the windows of generations, and the real ones in whose places they are."""
    made, real = [], []
    for each in generated_of(generations, split):
        tokens = np.asarray(split.pieces[each.piece])
        made.append(each.window)
        real.append(Window(tokens, each.start, len(tokens), judged_from=each.prompt))
    return made, real


def families_of(generations: Sequence[Generation]) -> NDArray[np.str_]:
    """Return the families of the pieces that generations stand beside, shape (generations,)."""
    return np.array([each.family for each in generations], np.str_)
