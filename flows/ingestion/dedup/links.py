"""Links between pieces: the verified relation of two pieces that have music in common.

Two pieces are verified by comparing the sketches of their voices, and are a link if

    related    the common features are rare and many for the size of the smaller piece (`evidence × containment`), or
               lie on one straight line of time over much of it: the same music in another performance, transcription
               or arrangement, in part or whole;
    duplicate  moreover nearly all features are common, at one steady tempo, and neither piece has many more notes: the
               same music, edited, and not its melody alone.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.ingestion.dedup.index import Index
from flows.ingestion.dedup.sketches import Sketches
from tokenization.compiled import compiled
from tokenization.fingerprint import Match, compare

LEAST_EVIDENCE = 2.5
"""Rare features in common below which two pieces are unrelated, however short they are."""
PART = 2.0
"""Factor of the threshold for each of two voices that is an instrument's: pieces have many, and parts are simpler."""
PART_EVIDENCE = 6.0
"""Rare features in common below which such a voice makes no relation: so few are a ground bass, or one motif."""
STEADY = 0.05
"""Seconds that the begins in a duplicate are off a steady tempo, on average."""
FULLNESS = 0.75
"""Least share of the notes of the one piece that the other has if they are duplicates."""
DRUMS = 0.95
"""Least resemblance of duplicates of drums alone: a few bars in another order have nearly all features in common."""
ALIGNED, SPREAD, LONG = 8, 5, 192
"""Begins on a straight line, the sixteenths of the shorter piece they lie in, and the notes of its voice, from which
two pieces are records of one performance, however many notes each of them lost."""


class Relation(IntEnum):
    """The relation of two pieces."""

    NONE = 0
    RELATED = 1
    DUPLICATE = 2


class Rules(NamedTuple):
    """The thresholds of relations."""

    related: float
    """Least evidence × containment."""
    duplicate: float
    """Least resemblance."""


MEASURES = Match._fields
"""Columns of measured pairs: those of a `Match`, for the pair of voices with the most in common."""


def measure(
    sketches: Sketches, index: Index, left: NDArray[np.int64], right: NDArray[np.int64], rules: Rules
) -> pl.DataFrame:
    """Compare pairs of pieces, all their voices with each other.

    Returns columns `left`, `right`, `relation` (a `Relation`), and MEASURES.
    """
    rows = np.zeros((len(left), len(MEASURES)))
    relations = _measure(sketches, index.weight, left, right, rules, rows)
    return _table(left, right, relations, rows)


def measure_families(
    sketches: Sketches,
    index: Index,
    members: NDArray[np.int64],
    bounds: NDArray[np.int64],
    rules: Rules,
    budget: int,
) -> pl.DataFrame:
    """Compare the members of families with each other, and return the links; columns as those of `measure`.

    `members`: pieces, one family after the other, the preferred first. `bounds`: where each family begins, and the
    number of members. What is a duplicate of one piece is compared with no other; in the order of preference each
    piece that is left is compared with those behind it, up to about `budget` comparisons for a family.
    """
    links, rows = _measure_families(sketches, index.weight, members, bounds, rules, budget)
    return _table(links[:, 0], links[:, 1], links[:, 2], rows)


def _table(
    left: NDArray[np.int64], right: NDArray[np.int64], relation: NDArray[np.int64], rows: NDArray[np.float64]
) -> pl.DataFrame:
    measures = {name: rows[:, i] for i, name in enumerate(MEASURES)}
    return pl.DataFrame({"left": left, "right": right, "relation": relation, **measures})


@compiled
def compare_voices(sketches: Sketches, weight: NDArray[np.uint8], one: int, other: int) -> Match:
    """Compare two voices; without LEAST_EVIDENCE the match is empty."""
    left = slice(sketches.start[one], sketches.end[one])
    right = slice(sketches.start[other], sketches.end[other])
    return compare(
        sketches.words[left],
        sketches.words[right],
        weight[left],
        sketches.complete[one],
        sketches.complete[other],
        sketches.unit[one],
        sketches.unit[other],
        LEAST_EVIDENCE,
    )


@compiled
def least_product(sketches: Sketches, one: int, other: int, rules: Rules) -> float:
    """Return the evidence × containment from which two voices make a relation."""
    least = rules.related
    for voice in (one, other):
        if sketches.first_voice[sketches.piece[voice]] != voice:
            least = least * PART
    return least


@compiled
def relation_of(sketches: Sketches, one: int, other: int, match: Match, rules: Rules) -> int:
    """Return the relation that a match of two voices shows."""
    if match.evidence < LEAST_EVIDENCE:
        return 0
    least = least_product(sketches, one, other, rules)
    is_whole = least == rules.related
    if match.evidence * match.containment >= least and (is_whole or match.evidence >= PART_EVIDENCE):
        # Two voices of an arrangement may be equal where the whole differs: only the whole makes a duplicate.
        resemblance = max(rules.duplicate, DRUMS) if sketches.drums[one] else rules.duplicate
        notes, others = sketches.total[sketches.piece[one]], sketches.total[sketches.piece[other]]
        is_full = min(notes, others) >= FULLNESS * max(notes, others)
        if is_whole and is_full and match.resemblance >= resemblance and match.deviation <= STEADY:
            return 2
        return 0 if sketches.drums[one] else 1
    is_long = min(sketches.notes[one], sketches.notes[other]) >= LONG
    return 1 if is_long and match.aligned >= ALIGNED and match.spread >= SPREAD else 0


@compiled
def _pair(
    sketches: Sketches, weight: NDArray[np.uint8], left: int, right: int, rules: Rules, row: NDArray[np.float64]
) -> int:
    """Return the relation of two pieces, and write its measures to `row`."""
    best, found = -1.0, 0
    for one in range(sketches.first_voice[left], sketches.first_voice[left + 1]):
        for other in range(sketches.first_voice[right], sketches.first_voice[right + 1]):
            match = compare_voices(sketches, weight, one, other)
            relation = relation_of(sketches, one, other, match, rules)
            value = 1000.0 * relation + match.evidence * match.containment
            if value > best:
                best, found = value, relation
                for i, measured in enumerate(match):
                    row[i] = measured
            if relation == 2:
                return relation
    return found


@compiled
def _measure(
    sketches: Sketches,
    weight: NDArray[np.uint8],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    rules: Rules,
    rows: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the relations of pairs, and write their measures to `rows`."""
    relations = np.zeros(len(left), np.int64)
    for k in range(len(left)):
        relations[k] = _pair(sketches, weight, left[k], right[k], rules, rows[k])
    return relations


@compiled
def _measure_families(
    sketches: Sketches,
    weight: NDArray[np.uint8],
    members: NDArray[np.int64],
    bounds: NDArray[np.int64],
    rules: Rules,
    budget: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ends and relation of the links found, shape (m, 3), and their measures."""
    room = np.int64(0)
    for family in range(len(bounds) - 1):
        size = bounds[family + 1] - bounds[family]
        room += min(size * (size - 1) // 2, max(budget, size) + size)
    links = np.empty((room, 3), np.int64)
    rows = np.zeros((room, len(MEASURES)))
    is_settled = np.zeros(len(members), np.bool_)
    found = 0
    for family in range(len(bounds) - 1):
        first, last = bounds[family], bounds[family + 1]
        compared = 0
        for one in range(first, last):
            if is_settled[one] or (compared >= budget and one > first):
                continue
            for other in range(one + 1, last):
                if not is_settled[other]:
                    relation = _pair(sketches, weight, members[one], members[other], rules, rows[found])
                    compared += 1
                    if relation:
                        links[found, 0], links[found, 1], links[found, 2] = members[one], members[other], relation
                        found += 1
                        is_settled[other] = relation == 2
    return links[:found], rows[:found]
