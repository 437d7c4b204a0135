"""The file of tested pairs: what an earlier search for links found out, for the next one over a grown collection.

It is a cache: a search with it has the outcome of one without. It is used if all pieces of the earlier search are
still there, as many pieces that weights count alike, under the same rules, and if the code of the search is the same;
a file that is torn, damaged or of another format is left out. A file holds

    MAGIC            with the number of the format
    SHA-256          of all that follows, 32 bytes
    key              digest of code, rules and size class, 32 bytes
    n, p, e          numbers of pieces, pairs and entries, three int64
    features, contents   of the pieces (`Sketches.features`, `Sketches.contents`), n uint64 each
    left, right      of the pairs: piece × VOICES + voice of the piece, p uint32 each
    relation         p uint8 (`pairs.Pairs`)
    weight, depth    of the pieces' entries, voice by voice (`index.Standing`), e uint8 each, in one Zstandard frame
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flows.ingestion.dedup.grown_index import Growth
from flows.ingestion.dedup.index import Index, Standing, size_class
from flows.ingestion.dedup.links import Rules
from flows.ingestion.dedup.pairs import Pairs
from flows.ingestion.dedup.sketches import Sketches
from infra.files import write_atomically
from tokenization import fingerprint
from tokenization.compiled import compiled, put
from tokenization.compiled.sources import source_digest

MAGIC = b"musenet pairs 2\n"
VOICES = 16
"""More than the most voices of a piece."""
DIGEST = hashlib.sha256().digest_size
HEAD = DIGEST + 24
"""Bytes of key and numbers."""
CODEC = pa.Codec("zstd", 1)  # nearly all features stand alone: a twentieth is left


@dataclass(frozen=True)
class KnownPairs:
    """The pairs of an earlier search, in the numbers of a collection at hand of n pieces."""

    pairs: Pairs
    growth: Growth
    """A piece is known if it was there as it is: the pairs of the voices of known ones are known."""
    standing: Standing
    """Of the words of the pieces whose features were there; of all others that of `Standing.alone`."""


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
    n, p, e = np.frombuffer(content, np.int64, 3, DIGEST).tolist()
    features, earlier = np.frombuffer(content, np.uint64, 2 * n, HEAD).reshape(2, n)
    left, right = np.frombuffer(content, np.uint32, 2 * p, HEAD + 16 * n).reshape(2, p)
    relation = np.frombuffer(content, np.uint8, p, HEAD + 16 * n + 8 * p)
    entries = CODEC.decompress(content[HEAD + 16 * n + 9 * p :], 2 * e, asbytes=True)
    stored = Standing(*np.frombuffer(entries, np.uint8).reshape(2, e))

    with_voices, now = _with_voices(collection)
    order = np.argsort(now)
    place = np.minimum(np.searchsorted(now, features, sorter=order), max(len(now) - 1, 0))
    if len(features) > len(now) or not np.array_equal(now[order[place]], features):
        return None
    piece = with_voices[order[place]]
    is_same = collection.contents[piece] == earlier
    growth = Growth(*(np.zeros(len(collection.total), np.bool_) for _ in Growth._fields))
    growth.is_old[piece] = True
    growth.is_known[piece[is_same]] = True
    standing = Standing.alone(len(collection.words))
    for stand, to in zip(stored, standing, strict=True):
        _put(collection, piece, stand, to)
    kept = is_same[left // VOICES] & is_same[right // VOICES]
    first = collection.first_voice[piece]
    left, right = ((first[side // VOICES] + side % VOICES).astype(np.uint32) for side in (left[kept], right[kept]))
    return KnownPairs(Pairs(left, right, relation[kept]), growth, standing)


def write_pairs(path: Path, collection: Sketches, rules: Rules, index: Index, pairs: Pairs) -> None:
    """Write what a search through a collection of different pieces found, in place of the file there, if any."""
    with_voices, features = _with_voices(collection)
    number = np.zeros(len(collection.total), np.int64)
    number[with_voices] = np.arange(len(with_voices))
    sides = []
    for voices in pairs[:2]:
        piece = collection.piece[voices]
        sides.append((number[piece] * VOICES + voices - collection.first_voice[piece]).astype(np.uint32))
    entries = int((collection.end - collection.start).sum())
    standing = np.empty((2, entries), np.uint8)
    for stand, to in zip((index.weight, index.depth), standing, strict=True):
        _take(collection, with_voices, stand, to)
    arrays: list[NDArray[Any]] = [
        np.array([len(with_voices), len(pairs.left), entries], np.int64),
        features,
        collection.contents[with_voices],
        *sides,
        pairs.relation,
    ]
    packed = CODEC.compress(standing.reshape(-1), asbytes=True)
    content = _key(collection, rules) + b"".join([*(array.tobytes() for array in arrays), packed])
    write_atomically(path, MAGIC + hashlib.sha256(content).digest() + content)


def _with_voices(collection: Sketches) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the pieces that have voices, and the digests of their features."""
    pieces = np.flatnonzero(np.diff(collection.first_voice))
    return pieces, collection.features[pieces]


@compiled
def _take(collection: Sketches, pieces: NDArray[np.int64], values: NDArray[np.uint8], to: NDArray[np.uint8]) -> None:
    """Copy the values of the pieces' entries, voice by voice."""
    count = 0
    for piece in pieces:
        for voice in range(collection.first_voice[piece], collection.first_voice[piece + 1]):
            size = collection.end[voice] - collection.start[voice]
            put(values[collection.start[voice] : collection.end[voice]], to, count)
            count += size


@compiled
def _put(collection: Sketches, pieces: NDArray[np.int64], taken: NDArray[np.uint8], values: NDArray[np.uint8]) -> None:
    """Put values that `_take` copied in their places."""
    count = 0
    for piece in pieces:
        for voice in range(collection.first_voice[piece], collection.first_voice[piece + 1]):
            size = collection.end[voice] - collection.start[voice]
            values[collection.start[voice] : collection.end[voice]] = taken[count : count + size]
            count += size


def _key(collection: Sketches, rules: Rules) -> bytes:
    text = f"{fingerprint.VERSION} {_code()} {rules} {size_class(len(collection.total))}"
    return hashlib.sha256(text.encode()).digest()


def _code() -> str:
    """Return a digest of the source of all that the outcome of a comparison depends on."""
    return source_digest(Path(__file__))
