"""Leaks: the held-out pieces of a dataset version that a model was trained on, or whose relatives it was.

They are found as ingestion finds the families that no split divides: a held-out piece leaks if its file is among the
training pieces, or if it would be in a family with one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from flows.ingestion.dedup.equal_music import Duplicates
from flows.ingestion.dedup.families import find_families
from flows.ingestion.dedup.links import Rules
from flows.ingestion.dedup.sketches import MOST_ENTRIES, Sketches
from flows.warm_start.heard import read_identities
from modeling.config import Leaks, SplitLeaks
from tokenization.dataset import TEST, VALIDATION, DatasetVersion
from tokenization.identities import Identities


def find_leaks(known: Identities, version: DatasetVersion) -> Leaks:
    """Return the held-out pieces of a version, which is on this machine's disk, that are among known ones.

    Raises ShardError.
    """
    held_out = {split: Identities.of(version, split) for split in (VALIDATION, TEST)}
    every = held_out[VALIDATION].with_those_of(held_out[TEST])
    leaked = leaked_of(known, every)
    found = {}
    for split, pieces in held_out.items():
        own = [sha256.hex() for sha256 in pieces.table["sha256"]]
        found[split] = SplitLeaks(pieces=len(own), leaked=tuple(name for name in own if name in leaked))
    return Leaks(complete=known.complete, **found)


def known_to(models: Mapping[str, Path], version: DatasetVersion) -> tuple[frozenset[str], list[str]]:
    """Return the SHA-256 of the held-out pieces of a version that one of some models knows, and a notice for each model
    that knows any.

    `models`: the folders of their files, by name; those that carry no identities are left out. Raises ShardError, and
    IdentitiesError for a damaged file.
    """
    leaked: set[str] = set()
    notices = []
    for name, bundle in models.items():
        known = read_identities(bundle)
        if not len(known):
            continue
        leaks = find_leaks(known, version)
        found = {*leaks.validation.leaked, *leaks.test.leaked}
        if found:
            every = leaks.validation.pieces + leaks.test.pieces
            notices.append(
                f"{len(found)} of {every} held-out pieces, or relatives of them, are among what {name} was trained on"
            )
        leaked |= found
    return frozenset(leaked), notices


def leaked_of(known: Identities, held_out: Identities) -> frozenset[str]:
    """Return the SHA-256 of the held-out pieces that are known, or related to one that is."""
    is_same = held_out.table["sha256"].is_in(known.table["sha256"].implode())
    leaked = {sha256.hex() for sha256 in held_out.table.filter(is_same)["sha256"]}
    ours = held_out.table.filter(~is_same)
    theirs = known.table.filter(pl.col("fingerprint").is_not_null())
    if len(ours) and len(theirs):
        sketches = Sketches.of(pl.concat([theirs["fingerprint"], ours["fingerprint"]]), MOST_ENTRIES)
        rules = Duplicates()
        thresholds = Rules(related=rules.related_from, duplicate=rules.duplicate_from)
        best = find_families(sketches, np.arange(len(theirs) + len(ours)), thresholds, drop=None).best
        is_related = np.isin(best[len(theirs) :], best[: len(theirs)])
        leaked |= {sha256.hex() for sha256 in ours.filter(pl.Series(is_related))["sha256"]}
    return frozenset(leaked)
