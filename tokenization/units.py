"""Units: ids that a learned encoding adds to a vocabulary, each standing for several tokens or notes.

A *merge* is a pair of ids, tokens or earlier units, that byte-pair encoding has joined. A *chord* is a set of notes
that sound together. What was learned is data: it lies in the dataset's `vocabulary.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenization.vocabulary_file import VocabularyError


class UnitKind(StrEnum):
    """What units are."""

    MERGE = "merge"
    CHORD = "chord"


@dataclass(frozen=True)
class Units:
    """The learned ids of a vocabulary; the first one follows its other ids."""

    kind: UnitKind = UnitKind.MERGE
    items: tuple[tuple[int, ...], ...] = ()
    """Of a merge: the two ids it joins. Of a chord: the ids of its notes, ascending; that of a note-off stands for a
    note that goes on sounding."""

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None, source: str = "vocabulary") -> Units:
        """What `to_dict` gave, or no units. Raises VocabularyError for anything else."""
        if data is None:
            return cls()
        try:
            items = tuple(tuple(int(token) for token in item) for item in data["items"])
            kind = UnitKind(data["kind"])
        except (KeyError, TypeError, ValueError) as error:
            raise VocabularyError(f"{source}: units are not a kind and lists of ids") from error
        if kind is UnitKind.MERGE and any(len(item) != 2 for item in items):
            raise VocabularyError(f"{source}: a merge joins two ids")
        return cls(kind, items)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "items": [list(item) for item in self.items]}

    def spelled(self, base: int) -> tuple[tuple[int, ...], ...]:
        """Each unit as ids below `base`, which is the first unit's."""
        if self.kind is UnitKind.CHORD:
            return self.items
        out: list[tuple[int, ...]] = []
        for item in self.items:
            out.append(sum(((token,) if token < base else out[token - base] for token in item), ()))
        return tuple(out)

    def names(self, single: Sequence[str]) -> list[str]:
        """The text of each unit, given the text of all other ids."""
        form = "chord({})" if self.kind is UnitKind.CHORD else "{}"
        return [form.format("+".join(single[token] for token in item)) for item in self.spelled(len(single))]


@dataclass(frozen=True)
class Spelling:
    """What each id of a vocabulary stands for, one after the other: id i is `tokens[first[i] : first[i + 1]]`."""

    tokens: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, units: Units, base: int) -> Spelling:
        """Ids below `base` stand for themselves."""
        spelled = units.spelled(base)
        sizes = np.concatenate([np.ones(base, np.int64), np.array([len(item) for item in spelled], np.int64)])
        tokens = np.concatenate([np.arange(base), *(np.array(item, np.int64) for item in spelled)])
        return cls(tokens, np.concatenate([[0], np.cumsum(sizes)]))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.first)
