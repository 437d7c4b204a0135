"""LearnedTokens: ids that a learned encoding adds to a vocabulary, each standing for several tokens or notes.

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

from tokenization.vocabulary.file import VocabularyError

LONGEST_EXPANSION = 4096
"""Tokens that a unit stands for at most: merges of merges soon fill any memory."""


class LearnedKind(StrEnum):
    """What units are."""

    MERGE = "merge"
    CHORD = "chord"


@dataclass(frozen=True)
class LearnedTokens:
    """The learned ids of a vocabulary; the first one follows its other ids."""

    kind: LearnedKind = LearnedKind.MERGE
    items: tuple[tuple[int, ...], ...] = ()
    """Of a merge: the two ids it joins. Of a chord: the ids of its notes, ascending; that of a note-off stands for a
    note that goes on sounding, and a chord of none is silence."""

    def __post_init__(self) -> None:
        """Raises VocabularyError for a merge that joins not two ids or a chord that is no set in ascending order."""
        for index, item in enumerate(self.items):
            if self.kind is LearnedKind.MERGE and len(item) != 2:
                raise VocabularyError(f"unit {index} joins not two ids but {len(item)}")
            if self.kind is LearnedKind.CHORD and list(item) != sorted(set(item)):
                raise VocabularyError(f"unit {index} is not of different ids, ascending: {list(item)}")

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None, source: str = "vocabulary") -> LearnedTokens:
        """What `to_dict` gave, or no units. Raises VocabularyError for anything else."""
        if data is None:
            return cls()
        if not _is_units(data):
            raise VocabularyError(f"{source}: units are not a kind ({' or '.join(LearnedKind)}) and lists of ids")
        try:
            return cls(LearnedKind(data["kind"]), tuple(tuple(item) for item in data["items"]))
        except VocabularyError as error:
            raise VocabularyError(f"{source}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "items": [list(item) for item in self.items]}

    def expanded(self, base: int) -> tuple[tuple[int, ...], ...]:
        """Each unit as ids below `base`, which is the first unit's. Raises VocabularyError for one that is too long."""
        if self.kind is LearnedKind.CHORD:
            return self.items
        out: list[tuple[int, ...]] = []
        for index, item in enumerate(self.items):
            out.append(sum(((token,) if token < base else out[token - base] for token in item), ()))
            if len(out[-1]) > LONGEST_EXPANSION:
                raise VocabularyError(f"unit {index} stands for more than {LONGEST_EXPANSION} tokens")
        return tuple(out)

    def names(self, single: Sequence[str]) -> list[str]:
        """The text of each unit, given the text of all other ids."""
        form = "chord({})" if self.kind is LearnedKind.CHORD else "{}"
        return [form.format("+".join(single[token] for token in item)) for item in self.expanded(len(single))]


def _is_units(data: Any) -> bool:
    """Whether it has the form that `LearnedTokens.to_dict` gives."""
    if not isinstance(data, dict) or data.keys() != {"kind", "items"} or data["kind"] not in [*LearnedKind]:
        return False
    items = data["items"]
    lists = isinstance(items, list) and all(isinstance(item, list) for item in items)
    return lists and all(type(token) is int for item in items for token in item)


@dataclass(frozen=True)
class Expansion:
    """What each id of a vocabulary stands for, one after the other: id i is `tokens[first[i] : first[i + 1]]`."""

    tokens: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, units: LearnedTokens, base: int) -> Expansion:
        """Ids below `base` stand for themselves."""
        spelled = units.expanded(base)
        sizes = np.concatenate([np.ones(base, np.int64), np.array([len(item) for item in spelled], np.int64)])
        tokens = np.concatenate([np.arange(base), *(np.array(item, np.int64) for item in spelled)])
        return cls(tokens, np.concatenate([[0], np.cumsum(sizes)]))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.first)
