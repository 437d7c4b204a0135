"""Duplicates: files with the same bytes, and pieces with the same notes.

Of several equal ones the first in order of collection and path is kept; the others point to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from flows.ingestion.manifest import Entry, Reason, Status


def first_of_equal(keys: Sequence[Hashable | None]) -> list[int]:
    """For each key the index of its first occurrence; a None key equals nothing."""
    first: dict[Hashable, int] = {}
    return [index if key is None else first.setdefault(key, index) for index, key in enumerate(keys)]


def mark_duplicates(entries: Sequence[Entry], keys: Sequence[Hashable | None], reason: Reason) -> list[Entry]:
    """Entries with equal keys marked as duplicates of the first of them."""
    marked = []
    for entry, key, first in zip(entries, keys, first_of_equal(keys)):
        kept = entries[first]
        if kept is entry or key is None:
            marked.append(entry)
        else:
            detail = f"{kept.collection}/{kept.path}"
            marked.append(replace(entry, status=Status.DUPLICATE, reason=reason, detail=detail, family=kept.sha256))
    return marked
