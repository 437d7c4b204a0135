"""Learned tokens: ids that an encoding adds to a vocabulary, behind all others.

A *merge* is a pair of ids, tokens or earlier merges, that byte-pair encoding has joined. A *chord* is a set of notes
that sound together. A *length* is the time that the note before it lasts; lengths are given by the encoding, merges and
chords are learned from a dataset. All are data: they are stored in the dataset's `vocabulary.json`, under `units`.
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
"""Tokens in an expansion at most; merges of merges double in length and would soon fill any memory."""


class LearnedKind(StrEnum):
    """Kind of all learned tokens of one vocabulary."""

    MERGE = "merge"
    CHORD = "chord"
    LENGTH = "length"


@dataclass(frozen=True)
class LearnedTokens:
    """The learned tokens of a vocabulary, in the order of their ids."""

    kind: LearnedKind = LearnedKind.MERGE
    items: tuple[tuple[int, ...], ...] = ()
    """Of a merge: the two ids it joins. Of a chord: the ids of its notes, ascending; a note-off id stands for a note
    that is held, and the empty chord is silence. Of a length: its ticks; lengths ascend from 1."""

    def __post_init__(self) -> None:
        """Raises VocabularyError for a merge that does not join two ids, and for a chord whose ids or for lengths that
        do not ascend.
        """
        for index, item in enumerate(self.items):
            if self.kind is LearnedKind.MERGE and len(item) != 2:
                raise VocabularyError(f"learned token {index} joins {len(item)} ids, not two")
            if self.kind is LearnedKind.CHORD and list(item) != sorted(set(item)):
                raise VocabularyError(f"learned token {index} has ids that do not ascend: {list(item)}")
        if self.kind is LearnedKind.LENGTH and not self._are_lengths():
            raise VocabularyError("lengths must be single numbers of ticks that ascend from 1")

    def _are_lengths(self) -> bool:
        ticks = [item[0] for item in self.items if len(item) == 1]
        return ticks == sorted(set(ticks)) and len(ticks) == len(self.items) and ticks[:1] in ([], [1])

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None, source: str = "vocabulary") -> LearnedTokens:
        """Return the learned tokens of which `to_dict` gave `data`, none for None. Raises VocabularyError."""
        if data is None:
            return cls()
        if not _has_form(data):
            raise VocabularyError(
                f"{source}: units must have a kind ({', '.join(LearnedKind)}) and items, lists of ids"
            )
        try:
            return cls(LearnedKind(data["kind"]), tuple(tuple(item) for item in data["items"]))
        except VocabularyError as error:
            raise VocabularyError(f"{source}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return the form that is stored as JSON."""
        return {"kind": str(self.kind), "items": [list(item) for item in self.items]}

    def expand(self, base: int) -> tuple[tuple[int, ...], ...]:
        """Return the ids that each learned token stands for: of merges and chords, ids below `base`, the first learned
        id; a length stands for itself.

        Raises VocabularyError for an expansion that is too long.
        """
        if self.kind is LearnedKind.CHORD:
            return self.items
        if self.kind is LearnedKind.LENGTH:
            return tuple((base + index,) for index in range(len(self)))
        out: list[tuple[int, ...]] = []
        for index, item in enumerate(self.items):
            out.append(sum(((token,) if token < base else out[token - base] for token in item), ()))
            if len(out[-1]) > LONGEST_EXPANSION:
                raise VocabularyError(f"learned token {index} stands for more than {LONGEST_EXPANSION} tokens")
        return tuple(out)

    def prefixes(self) -> tuple[int, ...]:
        """Return, for each learned token that stands for others, an id that its expansion begins with: of a merge the
        left one."""
        if self.kind is LearnedKind.LENGTH:
            return ()
        return tuple(item[0] if item else 0 for item in self.items)

    def names(self, single: Sequence[str]) -> list[str]:
        """Return the text of each learned token, given the text of all other ids."""
        if self.kind is LearnedKind.LENGTH:
            return [f"length:{ticks}" for (ticks,) in self.items]
        form = "chord({})" if self.kind is LearnedKind.CHORD else "{}"
        return [form.format("+".join(single[token] for token in item)) for item in self.expand(len(single))]


def _has_form(data: Any) -> bool:
    """True if `data` has the form that `LearnedTokens.to_dict` gives."""
    if not isinstance(data, dict) or data.keys() != {"kind", "items"} or data["kind"] not in [*LearnedKind]:
        return False
    items = data["items"]
    lists = isinstance(items, list) and all(isinstance(item, list) for item in items)
    return lists and all(type(token) is int for item in items for token in item)


@dataclass(frozen=True)
class Expansion:
    """The ids that each id of a vocabulary stands for, concatenated: id i is `tokens[first[i] : first[i + 1]]`."""

    tokens: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, learned: LearnedTokens, base: int) -> Expansion:
        """Return the expansion of all ids; those below `base` and lengths stand for themselves."""
        expanded = learned.expand(base)
        sizes = np.concatenate([np.ones(base, np.int64), np.array([len(item) for item in expanded], np.int64)])
        tokens = np.concatenate([np.arange(base), *(np.array(item, np.int64) for item in expanded)])
        return cls(tokens, np.concatenate([[0], np.cumsum(sizes)]))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of ids that each id stands for, shape (ids,)."""
        return np.diff(self.first)
