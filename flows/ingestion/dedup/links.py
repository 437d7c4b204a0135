"""Links between pieces: the verified relation of two pieces that have music in common.

Voices that share rare features are candidates. A candidate pair is verified by comparing its sketches, and is a link if

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

from flows.ingestion.dedup.sketches import ALONE, COMMON, PRIOR, RUN, Index, Sketches
from tokenization.compiled import compiled
from tokenization.fingerprint import Match, compare
from tokenization.fingerprint.matching import FULL

LEAST_EVIDENCE = 2.5
"""Rare features in common below which two pieces are unrelated, however short they are."""
PART = 2.0
"""Factor of the threshold for each of two voices that is an instrument's: pieces have many, and parts are simpler."""
LEAST_SHARED = 3
"""Features that two voices share when they are compared."""
STEADY = 0.05
"""Seconds that the begins in a duplicate are off a steady tempo, on average."""
FULLNESS = 0.75
"""Least share of the notes of the one piece that the other has if they are duplicates."""
DRUMS = 0.95
"""Least resemblance of duplicates of drums alone: a few bars in another order have nearly all features in common."""
ALIGNED, SPREAD, LONG = 8, 5, 192
"""Begins on a straight line, the sixteenths of the shorter piece they lie in, and the notes of its voice, from which
two pieces are records of one performance, however many notes each of them lost."""
SLACK = 0.6
"""Share of a relation's threshold that an upper bound must reach for two voices to be compared: it is an estimate."""
THIN = 0.04
"""Share of the hashes that a sketch keeps of a long voice, of which two transcriptions may have few in common."""
NEAR = 8
"""Neighbours on either side among the voices with the same feature with which a voice is counted as sharing it. They
stand in random order, in another one for each feature: of a feature that is more common a sample is seen, and what is
seen counts for more. Of a very common one the likeliest are neighbours (see `Index`)."""


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


def find_links(
    sketches: Sketches, index: Index, rules: Rules, parent: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join related pieces in `parent` (a union-find forest, shape (n,)); return the ends of the links that join them.

    Each link joins two families that no earlier one joined. Which pieces are joined depends on their order only where
    the features in common are very common, so that two of their voices are seldom neighbours.
    """
    ends = _find(sketches, index, rules, parent)
    return ends[:, 0].copy(), ends[:, 1].copy()


@compiled
def root(parent: NDArray[np.int64], i: int) -> int:
    """Return the root of an element of a union-find forest, and shorten the path to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _compare(sketches: Sketches, weight: NDArray[np.uint8], one: int, other: int) -> Match:
    left = slice(sketches.start[one], sketches.end[one])
    right = slice(sketches.start[other], sketches.end[other])
    return compare(
        sketches.words[left],
        sketches.words[right],
        weight[left],
        weight[right],
        sketches.complete[one],
        sketches.complete[other],
        sketches.unit[one],
        sketches.unit[other],
        LEAST_EVIDENCE,
    )


@compiled
def _relation(sketches: Sketches, one: int, other: int, match: Match, rules: Rules) -> int:
    """Return the relation that a match of two voices shows."""
    if match.evidence < LEAST_EVIDENCE:
        return 0
    least, is_whole = rules.related, True
    for voice in (one, other):
        if sketches.first_voice[sketches.piece[voice]] != voice:
            least, is_whole = least * PART, False
    if match.evidence * match.containment >= least:
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
            match = _compare(sketches, weight, one, other)
            relation = _relation(sketches, one, other, match, rules)
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


@compiled
def _find(sketches: Sketches, index: Index, rules: Rules, parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ends of the links found, shape (m, 2), and join them in `parent`."""
    piece, posting, weight = sketches.piece, index.posting, index.weight
    links = np.empty((len(parent), 2), np.int64)
    found = np.int64(0)
    shared = np.zeros(len(piece), np.float32)
    count = np.zeros(len(piece), np.uint16)
    touched = np.empty(len(piece) + 1, np.int64)
    pieces = np.log(len(sketches.first_voice) - 1 + PRIOR)
    worth = np.empty(256, np.float32)
    for value in range(256):
        frequency = np.exp((1.0 - value / FULL) * pieces)
        unseen = max(1.0, frequency / (2.0 * NEAR)) if frequency < COMMON else 1.0
        worth[value] = value / FULL * unseen
    mass, rate = _weights(sketches, weight)
    for one in range(len(piece)):
        touches = 0
        for entry in range(sketches.start[one], sketches.end[one]):
            here = np.int64(index.place[entry])
            if here == ALONE:
                continue
            gain = worth[weight[entry]]
            first = last = here
            while first > here - NEAR and not posting[first] & np.uint32(RUN):
                first -= 1
            end = min(here + 1 + NEAR, np.int64(len(posting)))
            while last + 1 < end and not posting[last + 1] & np.uint32(RUN):
                last += 1
            for place in range(first, last + 1):
                voice = np.int64(posting[place] & np.uint32(RUN - 1))
                if voice > one:  # the other way round the same is found
                    touched[touches] = voice
                    touches += count[voice] == 0
                    count[voice] += 1
                    shared[voice] += gain
        for other in touched[:touches]:
            seen, sum_ = count[other], shared[other]
            count[other], shared[other] = 0, 0.0
            if seen < LEAST_SHARED or sum_ < LEAST_EVIDENCE or piece[one] == piece[other]:
                continue
            # No chain weighs more than what is shared, so neither can the product that makes a relation.
            limit = min(rate[one], rate[other])
            total = min(mass[one] * limit / rate[one], mass[other] * limit / rate[other])
            is_thin = max(rate[one], rate[other]) < THIN and seen >= ALIGNED
            if sum_ * sum_ < SLACK * rules.related * total and not is_thin:
                continue
            root_one, root_other = root(parent, piece[one]), root(parent, piece[other])
            if root_one == root_other:
                continue
            match = _compare(sketches, weight, one, other)
            if _relation(sketches, one, other, match, rules):
                parent[max(root_one, root_other)] = min(root_one, root_other)
                links[found, 0], links[found, 1] = piece[one], piece[other]
                found += 1
    return links[:found]


@compiled
def _weights(sketches: Sketches, weight: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weight of each sketch, and the share of all hashes that it keeps."""
    voices = len(sketches.piece)
    mass, rate = np.zeros(voices), np.ones(voices)
    for voice in range(voices):
        end = sketches.end[voice]
        for entry in range(sketches.start[voice], end):
            mass[voice] += weight[entry] / FULL
        if not sketches.complete[voice]:
            rate[voice] = (np.float64(sketches.words[end - 1] >> np.uint64(32)) + 1.0) / 2.0**32
    return mass, rate
