"""Equal music: files with the same bytes, the same notes, or nearly the same notes, and the one kept of each group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.dedup.families import DEFAULT_THRESHOLD, Families, find_families
from tokenization.dataset.manifest import Reason
from tokenization.fingerprint import similarity

Indices = NDArray[np.int64]


class Duplicates(BaseModel):
    """Rules by which pieces count as the same music."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    near: bool = True
    """True to search for near-duplicates; equal bytes and equal notes are always found."""
    threshold: float = Field(DEFAULT_THRESHOLD, gt=0, le=1)
    """Similarity from which two pieces are of one family: performances, arrangements and edits of the same music."""
    drop: float = Field(0.0, ge=0, le=1)
    """Similarity from which only the best of the alike pieces of a family stays. At 0 only the best of the whole
    family does; at 0.7 other performances of a piece stay, in the family's split, and mere edits go."""


@dataclass(frozen=True)
class EqualMusic:
    """For each of n rows the rows of the same music; a quarantined row refers to itself. Arrays have shape (n,)."""

    first: Indices
    """The first row with the same notes."""
    kept: Indices
    """The row that is kept in its place, itself if it is no duplicate."""
    root: Indices
    """The best row of its family."""
    reason: list[str | None]
    """Reason for which it is a duplicate, None if it is none."""


def find_equal_music(table: pl.DataFrame, duplicates: Duplicates) -> EqualMusic:
    """Group the rows of `table` whose `reason` is null by equal bytes, equal notes, and similar fingerprints.

    Of equal bytes or notes the first row is kept. The best of near-duplicates is one that needed no repair, of
    several the one with the most notes, of several the first.
    """
    good = table["reason"].is_null().to_numpy()
    everything = np.arange(len(table))
    by_bytes = _first_equal(table["sha256"], everything[good], len(table))
    first_bytes = everything[good & (by_bytes == everything)]
    by_notes = _first_equal(table["note_hash"], first_bytes, len(table))
    unique = first_bytes[by_notes[first_bytes] == first_bytes]
    kept, root = everything.copy(), everything.copy()
    if duplicates.near and len(unique):
        fingerprints = _matrix(table["fingerprint"].gather(unique))
        families = find_families(fingerprints, duplicates.threshold)
        root[unique] = unique[_best(table[unique], families)]
        alike = families
        if duplicates.drop > duplicates.threshold:
            alike = find_families(fingerprints, duplicates.drop)
        kept[unique] = unique[_best(table[unique], alike)]

    reason = np.full(len(table), None, object)
    reason[unique[kept[unique] != unique]] = str(Reason.NEAR_DUPLICATE)
    reason[first_bytes[by_notes[first_bytes] != first_bytes]] = str(Reason.SAME_NOTES)
    reason[good & (by_bytes != everything)] = str(Reason.SAME_BYTES)
    first = by_notes[by_bytes]
    return EqualMusic(first, kept[first], root[first], reason.tolist())


def similarity_to_root(fingerprints: pl.Series, equal: EqualMusic) -> pl.Series:
    """Return the similarity (0–1) of each piece to the best of its family.

    Null for the best itself, for pieces with its notes, and for rows without family.
    """
    values = np.full(len(equal.first), np.nan, np.float32)
    rows = np.flatnonzero(equal.first != equal.root)
    if len(rows):
        own, best = fingerprints.gather(equal.first[rows]), fingerprints.gather(equal.root[rows])
        values[rows] = similarity(_matrix(own), _matrix(best))
    return pl.Series("similarity", values).fill_nan(None)


def _first_equal(keys: pl.Series, rows: Indices, size: int) -> Indices:
    """Return for each of `rows` the first of them with an equal key; every other of the `size` rows maps to itself."""
    first = np.arange(size)
    frame = pl.DataFrame({"key": keys.gather(rows), "row": rows})
    first[rows] = frame.select(pl.col("row").min().over("key")).to_series().to_numpy()
    return first


def _matrix(fingerprints: pl.Series) -> NDArray[np.uint32]:
    """Return fingerprints of the store as an array, shape (n, SIZE)."""
    return np.frombuffer(b"".join(fingerprints.to_list()), np.uint32).reshape(len(fingerprints), -1)


def _best(pieces: pl.DataFrame, families: Families) -> Indices:
    """Return for each piece the position of the best member of its family."""
    frame = pieces.select(
        pl.Series("label", families.label),
        (pl.col("repairs").list.len() > 0).alias("repaired"),
        -pl.col("notes").alias("fewness"),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("position"),
    )
    best = pl.col("position").sort_by("repaired", "fewness", "position").first().over("label")
    return frame.select(best).to_series().to_numpy()
