"""The file of tested pairs: what an earlier search for links found out, for the next one over a grown collection.

It is a cache: a search with it has the outcome of one without. It is used if all pieces of the earlier search are
still there, as many pieces that weights count alike, under the same rules, and if the code of the search is the same;
a file that is torn, damaged or of another format is left out. A file holds

    MAGIC            with the number of the format
    SHA-256          of all that follows, 32 bytes
    key              digest of code, rules and size class, 32 bytes
    n, p             numbers of pieces and pairs, two int64
    features, contents   of the pieces (`Sketches.features`, `Sketches.contents`), n uint64 each
    left, right      of the pairs: piece × VOICES + voice of the piece, p uint32 each
    relation         p uint8 (`pairs.Pairs`)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.ingestion.dedup.index import size_class
from flows.ingestion.dedup.links import Rules
from flows.ingestion.dedup.pairs import Pairs
from flows.ingestion.dedup.sketches import Sketches
from infra.files import write_atomically
from tokenization import fingerprint
from tokenization.compiled import source_digest

MAGIC = b"musenet pairs 1\n"
VOICES = 16
"""More than the most voices of a piece."""
DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class KnownPairs:
    """The pairs of an earlier search, in the numbers of a collection at hand of n pieces."""

    pairs: Pairs
    is_old: NDArray[np.bool_]
    """True for each piece whose features were there; shape (n,)."""
    is_known: NDArray[np.bool_]
    """True for each that was there as it is: the pairs of its voices with each other are known; shape (n,)."""


def read_pairs(path: Path, collection: Sketches, rules: Rules) -> KnownPairs | None:
    """Read what is known of a collection of different pieces; None if nothing is, or nothing that can be used."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(MAGIC) + DIGEST
    content = data[head:]
    if data[:head] != MAGIC + hashlib.sha256(content).digest() or content[:DIGEST] != _key(collection, rules):
        return None
    n, p = np.frombuffer(content, np.int64, 2, DIGEST).tolist()
    features, earlier = np.frombuffer(content, np.uint64, 2 * n, DIGEST + 16).reshape(2, n)
    left, right = np.frombuffer(content, np.uint32, 2 * p, DIGEST + 16 + 16 * n).reshape(2, p)
    relation = np.frombuffer(content, np.uint8, p, DIGEST + 16 + 16 * n + 8 * p)

    with_voices, now = _with_voices(collection)
    order = np.argsort(now)
    place = np.minimum(np.searchsorted(now, features, sorter=order), max(len(now) - 1, 0))
    if len(features) > len(now) or not np.array_equal(now[order[place]], features):
        return None
    piece = with_voices[order[place]]
    is_same = collection.contents[piece] == earlier
    is_old, is_known = (np.zeros(len(collection.total), np.bool_) for _ in range(2))
    is_old[piece] = True
    is_known[piece[is_same]] = True
    kept = is_same[left // VOICES] & is_same[right // VOICES]
    first = collection.first_voice[piece]
    left, right = ((first[side // VOICES] + side % VOICES).astype(np.uint32) for side in (left[kept], right[kept]))
    return KnownPairs(Pairs(left, right, relation[kept]), is_old, is_known)


def write_pairs(path: Path, collection: Sketches, rules: Rules, pairs: Pairs) -> None:
    """Write the pairs of a search through a collection of different pieces, in place of the file there, if any."""
    with_voices, features = _with_voices(collection)
    number = np.zeros(len(collection.total), np.int64)
    number[with_voices] = np.arange(len(with_voices))
    sides = []
    for voices in pairs[:2]:
        piece = collection.piece[voices]
        sides.append((number[piece] * VOICES + voices - collection.first_voice[piece]).astype(np.uint32))
    arrays: list[NDArray[Any]] = [
        np.array([len(with_voices), len(pairs.left)], np.int64),
        features,
        collection.contents[with_voices],
        *sides,
        pairs.relation,
    ]
    content = _key(collection, rules) + b"".join(array.tobytes() for array in arrays)
    write_atomically(path, MAGIC + hashlib.sha256(content).digest() + content)


def _with_voices(collection: Sketches) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the pieces that have voices, and the digests of their features."""
    pieces = np.flatnonzero(np.diff(collection.first_voice))
    return pieces, collection.features[pieces]


def _key(collection: Sketches, rules: Rules) -> bytes:
    text = f"{fingerprint.VERSION} {_code()} {rules} {size_class(len(collection.total))}"
    return hashlib.sha256(text.encode()).digest()


def _code() -> str:
    """Return a digest of the source of all that the outcome of a comparison depends on."""
    return source_digest(Path(__file__))
