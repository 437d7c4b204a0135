"""Which row of one vocabulary's tables is which of another's: by the names of tokens, styles and groups.

Two datasets give a style other slots, and a vocabulary may have grown, so that equal ids need not mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.vocabulary.layout import PITCHES
from tokenization.vocabulary.vocabulary import Vocabulary

NEW = -1
"""In place of a row: the other vocabulary has none of this name."""
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Mapping:
    """For each row of a vocabulary's tables the one of the same name in an earlier vocabulary, or NEW.

    A style that is new has the row of a style that is not given, from which it is learned fastest.
    """

    tokens: Rows
    """By id, shape (size,)."""
    notes: Rows
    """By row of notes, shape (rows,)."""
    styles: Rows
    """By slot, then that of a style that is not given, shape (slots + 1,)."""
    groups: Rows
    """By group, then that of an instrumentation that is not given, shape (groups + 1,)."""

    @classmethod
    def between(cls, before: Vocabulary, after: Vocabulary) -> Mapping:
        """Map the rows of `after` to those of `before`."""
        ids = {name: token for token, name in enumerate(before.names)}
        tokens = np.array([ids.get(name, NEW) for name in after.names], np.int64)
        of_styles = tokens[after.style_base : after.tempo_base]
        of_styles[of_styles == NEW] = before.no_style
        slots = np.where(of_styles == before.no_style, before.style_slots, of_styles - before.style_base)
        notes = tokens[: after.note_end : PITCHES]
        groups = [before.groups.index(group) if group in before.groups else NEW for group in after.groups]
        return cls(
            tokens,
            np.where(notes == NEW, NEW, notes // PITCHES),
            np.append(slots, before.style_slots),
            np.array([*groups, len(before.groups)], np.int64),
        )


def missing(before: Vocabulary, after: Vocabulary) -> list[str]:
    """Return the tokens of `before` that `after` lacks, by name; styles, which any dataset has of its own, left out."""
    names = {*after.names}
    styles = range(before.style_base, before.tempo_base)
    return [name for token, name in enumerate(before.names) if token not in styles and name not in names]
