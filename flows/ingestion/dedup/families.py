"""Families: clusters of pieces around verified links, and the duplicates among them.

1. Pieces with the same features, whatever their key and tempo, count as one while links are searched.
2. Links are searched by shared features (`search.find_links`); what they join is a family.
3. Within a family the preferred piece is compared with all others, then the next that is not its duplicate with what
   is left, and so on.
4. In the order of preference each piece that is left takes its duplicates, which are dropped: those that were
   themselves compared with it.
5. The links to kept pieces and the strongest of the others that hold the family together are its spanning tree, which
   is what a report shows.

A person's word counts more than a measurement: pairs may be declared the same, related or different. Different pieces
are in two families: of the links between them the weakest are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.ingestion.dedup.grown_index import grow_index
from flows.ingestion.dedup.index import build_index
from flows.ingestion.dedup.links import Relation, Rules, measure, measure_families
from flows.ingestion.dedup.search import find_links, root
from flows.ingestion.dedup.sketches import Sketches
from flows.ingestion.dedup.tested_pairs import read_pairs, write_pairs
from tokenization.compiled import compiled

Indices = NDArray[np.int64]
Pairs = list[tuple[int, int]]

COMPARISONS = 2048
"""Comparisons in a family after which no further piece is compared with those behind it."""
DECLARED = 1e6
"""Score of a link that a person declared, above any that is measured."""


@dataclass(frozen=True)
class Declared:
    """Pairs of pieces, by index, of which a person knows better."""

    same: Pairs
    related: Pairs
    different: Pairs


@dataclass(frozen=True)
class Families:
    """The families of n pieces. Arrays have shape (n,)."""

    best: Indices
    """The preferred member of the family, the piece itself if it is alone."""
    kept: Indices
    """The piece that is kept in its place, itself if it is no duplicate."""
    linked: Indices
    """Its neighbour in the spanning tree on the way to the best piece, as a rule the kept one of a duplicate; −1 for
    the best itself."""
    relation: NDArray[np.int64]
    """`Relation` to the linked piece."""
    similarity: NDArray[np.float64]
    """Share of the smaller of the two that is in the other, 0–1."""
    evidence: NDArray[np.float64]
    """Weight of what they have in common, in rare features."""


def find_families(
    sketches: Sketches,
    rank: Indices,
    rules: Rules,
    drop: Relation | None = Relation.DUPLICATE,
    declared: Declared | None = None,
    tested: Path | None = None,
) -> Families:
    """Find the families of n pieces.

    `rank`: preference of each, the smallest is the best; all different. `drop`: the least relation to a preferred piece
    for which a piece is not kept; None to keep all. `tested`: the file that keeps tested pairs from one search to the
    next.
    """
    n = len(sketches.first_voice) - 1
    declared = declared or Declared([], [], [])
    first = _first_of_equal(sketches)
    distinct = np.flatnonzero(first == np.arange(n))
    own = sketches.take(distinct)
    known = None if tested is None else read_pairs(tested, own, rules)
    parent = np.arange(len(distinct))
    if known is None:
        index = build_index(own)
        left, right, promising = find_links(own, index, rules, parent)
    else:
        index = grow_index(own, known.standing, known.growth)
        left, right, promising = find_links(own, index, rules, parent, known.pairs, known.growth.is_known)
    if tested is not None:
        write_pairs(tested, own, rules, index, promising)
    parent, left, right = distinct[parent], distinct[left], distinct[right]
    forest = np.arange(n)
    forest[distinct] = parent
    twins = np.flatnonzero(first != np.arange(n))
    left, right = np.concatenate([left, first[twins]]), np.concatenate([right, twins])
    said = np.array([*declared.same, *declared.related, *declared.different], np.int64).reshape(-1, 2)
    joined = said[: len(said) - len(declared.different)]
    ends = np.concatenate([left, joined[:, 0]]), np.concatenate([right, joined[:, 1]])
    _spanning_tree(forest, *ends, said[:0])
    if len(distinct) < n:
        _copy_weights(sketches, first, index.weight)
    members, bounds = _members(forest, np.argsort(rank))
    within = measure_families(sketches, index, members, bounds, rules, COMPARISONS)
    pairs = np.column_stack([np.concatenate([left, said[:, 0]]), np.concatenate([right, said[:, 1]])])
    pairs = pairs[~np.isin(_numbers(pairs, n), _numbers(within.select("left", "right").to_numpy(), n))]
    links = pl.concat([within, measure(sketches, index, pairs[:, 0], pairs[:, 1], rules)])
    del sketches, own, index  # gigabytes, of millions of pieces
    return _families(_edges(links, declared), rank, drop, np.array(declared.different, np.int64).reshape(-1, 2))


def _numbers(pairs: Indices, n: int) -> Indices:
    """Return a number of each pair of n pieces, whichever of the two comes first."""
    numbers: Indices = pairs.min(axis=1) * n + pairs.max(axis=1)
    return numbers


def _edges(links: pl.DataFrame, declared: Declared) -> pl.DataFrame:
    """Return the links of measured pairs and what a person declared, the strongest first, each once.

    Columns `left` < `right`, `relation`, `score` and the measures.
    """
    edges = links.with_columns(
        left=pl.min_horizontal("left", "right"),
        right=pl.max_horizontal("left", "right"),
        score=pl.col("evidence") * pl.col("containment"),
    ).unique(["left", "right"], keep="any")
    for pairs, relation in (
        (declared.same, Relation.DUPLICATE),
        (declared.related, Relation.RELATED),
        (declared.different, Relation.NONE),
    ):
        if pairs:
            sides = np.sort(np.array(pairs, np.int64), axis=1)
            said = pl.DataFrame({"left": sides[:, 0], "right": sides[:, 1]}).unique().with_columns(said=int(relation))
            edges = edges.join(said, on=["left", "right"], how="left")
            is_said = pl.col("said").is_not_null()
            edges = edges.with_columns(
                relation=pl.coalesce("said", "relation"), score=pl.when(is_said).then(DECLARED).otherwise("score")
            ).drop("said")
    edges = edges.filter(pl.col("relation") > 0)
    return edges.sort("score", "left", "right", descending=[True, False, False])


def _families(edges: pl.DataFrame, rank: Indices, drop: Relation | None, different: NDArray[np.int64]) -> Families:
    n = len(rank)
    left, right = edges["left"].to_numpy(), edges["right"].to_numpy()
    relation = edges["relation"].to_numpy()
    forest = np.arange(n)
    _spanning_tree(forest, left, right, different)
    best = _best(forest, rank)
    inside = np.flatnonzero(best[left] == best[right])
    same = inside[:0] if drop is None else inside[relation[inside] >= drop]
    swapped = rank[left[same]] > rank[right[same]]
    better, worse = np.where(swapped, right[same], left[same]), np.where(swapped, left[same], right[same])
    order = np.lexsort((rank[worse], rank[better]))
    kept, kept_edge = _stars(n, better[order], worse[order], same[order])
    # Links to kept pieces come first and links between them next: what is dropped hangs on the kept piece, and a path
    # leads through it only where nothing else holds the family together.
    dropped = kept != np.arange(n)
    to_kept = np.zeros(len(edges), np.bool_)
    to_kept[kept_edge[dropped]] = True
    aside = dropped[left] | dropped[right]
    inside = inside[np.lexsort((inside, aside[inside], ~to_kept[inside]))]
    tree = inside[_spanning_tree(np.arange(n), left[inside], right[inside], different[:0])]
    linked, edge = _orient(left[tree], right[tree], best, tree)
    has_link = edge >= 0
    found = {
        name: np.where(has_link, values[np.maximum(edge, 0)] if len(values) else 0, 0)
        for name, values in ((key, edges[key].to_numpy()) for key in ("relation", "containment", "evidence"))
    }
    return Families(best, kept, linked, found["relation"].astype(np.int64), found["containment"], found["evidence"])


@compiled
def _members(forest: Indices, by_rank: Indices) -> tuple[Indices, Indices]:
    """Return the members of families of several pieces, one family after the other, the preferred first, and bounds.

    `by_rank`: pieces, the preferred first.
    """
    n = len(forest)
    size = np.zeros(n, np.int64)
    for i in range(n):
        size[root(forest, i)] += 1
    place, families, total = np.zeros(n, np.int64), 0, 0
    bounds = np.zeros(n + 1, np.int64)
    for i in range(n):
        if size[i] > 1:
            place[i] = total
            families += 1
            total += size[i]
            bounds[families] = total
    members = np.empty(total, np.int64)
    for i in by_rank:
        label = root(forest, i)
        if size[label] > 1:
            members[place[label]] = i
            place[label] += 1
    return members, bounds[: families + 1]


@compiled
def _spanning_tree(forest: Indices, left: Indices, right: Indices, different: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Join families by edges in order and return which of them join two; `different` pieces are never joined."""
    chosen = np.zeros(len(left), np.bool_)
    for k in range(len(left)):
        here, there = root(forest, left[k]), root(forest, right[k])
        if here == there:
            continue
        allowed = True
        for pair in different:
            one, other = root(forest, pair[0]), root(forest, pair[1])
            if (one == here and other == there) or (one == there and other == here):
                allowed = False
                break
        if allowed:
            forest[max(here, there)] = min(here, there)
            chosen[k] = True
    return chosen


@compiled
def _best(forest: Indices, rank: Indices) -> Indices:
    """Return the member of the smallest rank of each piece's family."""
    n = len(forest)
    top = np.full(n, -1, np.int64)
    for i in range(n):
        label = root(forest, i)
        if top[label] < 0 or rank[i] < rank[top[label]]:
            top[label] = i
    best = np.empty(n, np.int64)
    for i in range(n):
        best[i] = top[root(forest, i)]
    return best


@compiled
def _orient(left: Indices, right: Indices, best: Indices, number: Indices) -> tuple[Indices, Indices]:
    """Return the neighbour of each piece on the way to the best one in a spanning tree, and the number of that edge.

    −1 for the best piece itself, and for one without edges.
    """
    n, m = len(best), len(left)
    start = np.zeros(n + 1, np.int64)
    for k in range(m):
        start[left[k] + 1] += 1
        start[right[k] + 1] += 1
    start = np.cumsum(start)
    filled = start[:n].copy()
    incident = np.empty(2 * m, np.int64)
    for k in range(m):
        incident[filled[left[k]]] = k
        filled[left[k]] += 1
        incident[filled[right[k]]] = k
        filled[right[k]] += 1
    linked, edge = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    queue = np.empty(n, np.int64)
    head = tail = 0
    for i in range(n):
        if best[i] == i and start[i] < start[i + 1]:
            queue[tail] = i
            tail += 1
    while head < tail:
        here = queue[head]
        head += 1
        for place in range(start[here], start[here + 1]):
            k = incident[place]
            there = right[k] if left[k] == here else left[k]
            if linked[there] < 0 and best[there] != there:
                linked[there], edge[there] = here, number[k]
                queue[tail] = there
                tail += 1
    return linked, edge


@compiled
def _stars(n: int, better: Indices, worse: Indices, number: Indices) -> tuple[Indices, Indices]:
    """Return the piece that is kept in place of each, and the number of the edge to it, −1 for a kept one.

    Edges are sorted by the rank of the better end, so whether that end is dropped itself is decided before.
    """
    kept, edge = np.arange(n), np.full(n, -1, np.int64)
    for k in range(len(better)):
        if kept[better[k]] == better[k] and kept[worse[k]] == worse[k]:
            kept[worse[k]], edge[worse[k]] = better[k], number[k]
    return kept, edge


def _first_of_equal(sketches: Sketches) -> Indices:
    """Return for each piece the first one with the same features, whatever their begins and pitches; (n,)."""
    alone = np.diff(sketches.first_voice) == 0  # without features nothing is known to be equal
    frame = pl.DataFrame({"digest": sketches.features, "alone": alone}).with_row_index("row")
    first = frame.select(pl.when("alone").then("row").otherwise(pl.col("row").min().over("digest", "alone")))
    return first.to_series().to_numpy().astype(np.int64)


@compiled
def _copy_weights(sketches: Sketches, first: Indices, weight: NDArray[np.uint8]) -> None:
    """Give the entries of each piece the weights of the first piece with the same features, whose are known."""
    for i in range(len(first)):
        if first[i] != i:
            source, target = sketches.first_voice[first[i]], sketches.first_voice[i]
            for voice in range(sketches.first_voice[i + 1] - target):
                begin = sketches.start[source + voice]
                size = sketches.end[source + voice] - begin
                to = sketches.start[target + voice]
                for entry in range(size):
                    weight[to + entry] = weight[begin + entry]
