"""Equal music: files with the same bytes, the same notes or nearly the same notes, and the one kept of each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.ingestion.dedup.families import Declared, Families, Pairs, find_families
from flows.ingestion.dedup.links import Relation, Rules
from flows.ingestion.dedup.sketches import MOST_ENTRIES, Sketches
from flows.ingestion.licences import LicencePattern, allowed
from infra.errors import UserError, nearest
from tokenization.dataset.manifest import NAME, Reason

Indices = NDArray[np.int64]
Group = tuple[str, ...]


class Preference(StrEnum):
    """Properties by which the kept copy is chosen."""

    LICENCE = "licence"
    """The first of `licences` that its licence fits."""
    UNREPAIRED = "unrepaired"
    """It needed no repair."""
    NOTES = "notes"
    """It has the most notes: the most complete one."""
    INSTRUMENTS = "instruments"
    """It has the most instruments, drums included."""


class Drop(StrEnum):
    """What is left out of the shards besides equal bytes and equal notes."""

    NOTHING = "nothing"
    DUPLICATES = "duplicates"
    RELATIVES = "relatives"


class Duplicates(BaseModel):
    """Rules by which pieces count as the same or related music, also as `[duplicates]` in a `collections.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    near: bool = True
    """True to search for near-duplicates and relatives; equal bytes and equal notes are always found."""
    related_from: float = Field(1.7, gt=0)
    """Evidence × containment from which two pieces are related: the number of rare features that they have in common,
    times the share of the smaller piece that these are."""
    duplicate_from: float = Field(0.7, gt=0, le=1)
    """Share of all features that related pieces have in common, at one steady tempo, if they are duplicates: the same
    music transposed, played faster, re-orchestrated or quantised."""
    drop: Drop = Drop.DUPLICATES
    """`duplicates` drops what adds nothing, `relatives` also other performances, transcriptions, arrangements and
    excerpts of a kept piece, `nothing` only groups them. Whatever stays is in the split of its family."""
    keep: tuple[Preference, ...] = tuple(Preference)
    """Order in which the kept copy is chosen; among equals it is the first in the order of collections and paths."""
    licences: tuple[LicencePattern, ...] = (
        *("PD", "CC0-1.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"),
        *("CC-BY-*", "CC-BY-SA-*"),
    )
    """Order of licences, for `keep`: names or patterns, those that fit none come last."""
    same: tuple[Group, ...] = ()
    """Groups of files that a person declares to be the same music: `collection/path`."""
    related: tuple[Group, ...] = ()
    """Groups of files of one family."""
    different: tuple[Group, ...] = ()
    """Groups of files of which no two are of one family."""

    @model_validator(mode="after")
    def _declared_links_need_the_search(self) -> Duplicates:
        if not self.near and (self.same or self.related or self.different):
            raise ValueError("same, related and different have no effect without the search for links (near = false)")
        return self


@dataclass(frozen=True)
class EqualMusic:
    """For each of n rows the rows of the same music; a quarantined row refers to itself. Arrays have shape (n,)."""

    kept: Indices
    """The row that is kept in its place, itself if it is no duplicate."""
    root: Indices
    """The best row of its family."""
    linked: Indices
    """The row by which it belongs to its family, −1 for the best one and without family."""
    relation: list[str | None]
    similarity: NDArray[np.float64]
    evidence: NDArray[np.float64]
    """Of the link, as in `Families`; NaN without one, and for equal bytes or notes."""
    reason: list[str | None]
    """Reason for which it is a duplicate, None if it is none."""


def find_equal_music(table: pl.DataFrame, duplicates: Duplicates, tested: Path | None = None) -> EqualMusic:
    """Group the rows of `table` whose `reason` is null by equal bytes, equal notes, and similar fingerprints.

    Of equal ones the preferred row is kept. `tested`: as of `find_families`. Raises UserError for declared files that
    are not in the table.
    """
    n = len(table)
    rows = np.arange(n)
    good = table["reason"].is_null().to_numpy()
    rank = _ranks(table, duplicates)
    by_bytes = _first_equal(table["sha256"], rows[good], rank)
    first_bytes = rows[good & (by_bytes == rows)]
    by_notes = _first_equal(table["note_hash"], first_bytes, rank)
    unique = first_bytes[by_notes[first_bytes] == first_bytes]
    first = by_notes[by_bytes]
    near = None
    if duplicates.near and len(unique):
        declared = _declared(table, duplicates, first, good, unique)
        near = _near(table, duplicates, unique, rank, declared, tested)
    kept, root, linked = first.copy(), first.copy(), np.where(first == rows, -1, first)
    relation = np.full(n, None, object)
    relation[first != rows] = Relation.DUPLICATE.name.lower()
    similarity, evidence = np.full(n, np.nan), np.full(n, np.nan)
    reason = np.full(n, None, object)
    if near is not None:
        kept[unique], root[unique] = unique[near.kept], unique[near.best]
        has_link = near.linked >= 0
        ends = unique[has_link]
        linked[ends] = unique[near.linked[has_link]]
        relation[ends] = [Relation(value).name.lower() for value in near.relation[has_link].tolist()]
        similarity[ends], evidence[ends] = near.similarity[has_link], near.evidence[has_link]
        reason[unique[near.kept != np.arange(len(unique))]] = str(Reason.NEAR_DUPLICATE)
        kept, root = kept[first], root[first]
    reason[first_bytes[by_notes[first_bytes] != first_bytes]] = str(Reason.SAME_NOTES)
    reason[good & (by_bytes != rows)] = str(Reason.SAME_BYTES)
    return EqualMusic(kept, root, linked, relation.tolist(), similarity, evidence, reason.tolist())


def compile_search() -> None:
    """Compile the search for families, by a search among two pieces without notes."""
    table = pl.DataFrame({"fingerprint": [bytes(8)] * 2})
    _near(table, Duplicates(), np.arange(2), np.arange(2), Declared([], [], []), None)


def _near(
    table: pl.DataFrame,
    duplicates: Duplicates,
    unique: Indices,
    rank: Indices,
    declared: Declared,
    tested: Path | None,
) -> Families:
    rules = Rules(duplicates.related_from, duplicates.duplicate_from)
    least = {Drop.NOTHING: None, Drop.DUPLICATES: Relation.DUPLICATE, Drop.RELATIVES: Relation.RELATED}
    sketches = Sketches.of(table["fingerprint"].gather(unique), MOST_ENTRIES)
    return find_families(sketches, rank[unique], rules, least[duplicates.drop], declared, tested)


def _ranks(table: pl.DataFrame, duplicates: Duplicates) -> Indices:
    """Return the rank of each row in the order of preference, 0 for the best."""
    stated = table["licence"].unique().drop_nulls().to_list()
    order = {licence: len(duplicates.licences) for licence in stated}
    for place, pattern in reversed([*enumerate(duplicates.licences)]):
        fitting = [licence for licence, fits in allowed(stated, [pattern]).items() if fits]
        order.update(dict.fromkeys(fitting, place))
    by_preference = {
        Preference.LICENCE: pl.col("licence").replace_strict(
            order, default=len(duplicates.licences), return_dtype=pl.Int64
        ),
        Preference.UNREPAIRED: pl.col("repairs").list.len() > 0,
        Preference.NOTES: -pl.col("notes"),
        Preference.INSTRUMENTS: -(pl.col("programs").list.len().cast(pl.Int64) + pl.col("drums").cast(pl.Int64)),
    }
    chosen = [by_preference[preference].alias(str(preference)) for preference in duplicates.keep]
    keys = table.select(*chosen, pl.int_range(pl.len()).alias("row"))
    order_of_rows = keys.sort(*keys.columns, nulls_last=True)["row"].to_numpy()
    rank = np.empty(len(table), np.int64)
    rank[order_of_rows] = np.arange(len(table))
    return rank


def _first_equal(keys: pl.Series, rows: Indices, rank: Indices) -> Indices:
    """Return for each of `rows` the best one with an equal key; every other row maps to itself."""
    best = np.arange(len(rank))
    frame = pl.DataFrame({"key": keys.gather(rows), "row": rows, "rank": rank[rows]})
    best[rows] = frame.select(pl.col("row").sort_by("rank").first().over("key")).to_series().to_numpy()
    return best


def _declared(
    table: pl.DataFrame, duplicates: Duplicates, first: Indices, good: NDArray[np.bool_], unique: Indices
) -> Declared:
    """Return the declared pairs as positions in `unique`. Quarantined files have no family and are left out."""
    groups = (duplicates.same, duplicates.related, duplicates.different)
    if not any(groups):
        return Declared([], [], [])
    row_of = {name: row for row, name in enumerate(table.select(NAME).to_series())}
    position = {int(row): place for place, row in enumerate(unique)}

    def pairs(key: str, declared: Sequence[Group]) -> Pairs:
        found: Pairs = []
        for group in declared:
            for name in group:
                if name not in row_of:
                    raise UserError(f"duplicates.{key} names {name}, which is no file here{nearest(name, row_of)}")
            members = [(name, position[int(first[row_of[name]])]) for name in group if good[row_of[name]]]
            for (one, left), (other, right) in combinations(members, 2):
                if left != right:
                    found.append((left, right))
                elif key == "different":
                    raise UserError(f"duplicates.different names {one} and {other}, which hold the same notes")
        return found

    return Declared(*(pairs(key, group) for key, group in zip(("same", "related", "different"), groups, strict=True)))
