"""Selection of a collection's files by its patterns, by suffix, and by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flows.ingestion.sources.archives import ARCHIVE, begins_like_midi
from flows.ingestion.sources.collections import SUFFIXES, Collection
from flows.ingestion.sources.glob_patterns import glob_regex
from flows.ingestion.sources.reading import file_refs, read_heads


@dataclass(frozen=True)
class Selection:
    """The parts of a batch of files. Tables have the batch's columns."""

    taken: pl.DataFrame
    archives: pl.DataFrame
    """Archives still to be opened."""
    ignored: dict[str, int]
    """Number of files left out, by suffix (`""`: without)."""


class FileFilter:
    """The rules of a collection by which its files are taken."""

    def __init__(self, collection: Collection) -> None:
        self._by_default = not collection.include
        self._include = [glob_regex(pattern) for pattern in collection.include]
        self._exclude = [glob_regex(pattern, folders=True) for pattern in collection.exclude]

    def select(self, files: pl.DataFrame, open_archives: bool) -> Selection:
        """Divide a batch of files (columns of `file_table`); without `open_archives` archives are plain files."""
        path = files["path"]
        suffix = path.str.extract(r"(?i)(\.tar\.gz|\.[a-z0-9_-]{1,10})$").str.to_lowercase()
        wanted = suffix.is_in(SUFFIXES).fill_null(False) if self._by_default else _matches(path, self._include)
        excluded = _matches(path, self._exclude)
        if open_archives:
            archives = path.str.contains(ARCHIVE.pattern) & ~excluded
            excluded |= archives
        else:
            archives = pl.repeat(False, len(files), dtype=pl.Boolean, eager=True)
        if self._by_default:
            wanted |= _begin_like_midi(files, suffix.is_null() & ~excluded)
        taken = wanted & ~excluded
        left_out = suffix.filter(~taken & ~archives).fill_null("").value_counts()
        return Selection(files.filter(taken), files.filter(archives), dict(left_out.iter_rows()))


def _begin_like_midi(files: pl.DataFrame, candidates: pl.Series) -> pl.Series:
    """Return which of the candidates begin like MIDI; reads those for which that is unknown."""
    known = files["midi"]
    to_read = (candidates & known.is_null()).arg_true()
    if len(to_read):
        heads = read_heads(file_refs(files[to_read]))
        known = known.scatter(to_read, [isinstance(head, bytes) and begins_like_midi(head) for head in heads])
    return (candidates & known).fill_null(False)


def _matches(paths: pl.Series, patterns: Sequence[str]) -> pl.Series:
    found = pl.repeat(False, len(paths), dtype=pl.Boolean, eager=True)
    for pattern in patterns:
        found |= paths.str.contains(pattern)
    return found
