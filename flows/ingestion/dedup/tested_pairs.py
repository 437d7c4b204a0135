"""The file of tested pairs: what an earlier search for links found out, for the next one over a grown collection.

It is a cache: a search with it has the outcome of one without. It is used if all pieces of the earlier search are
still there, as many pieces that weights count alike, under the same rules, and if the code of the search is the same;
a file that is torn, damaged or of another format is left out. A file holds

    MAGIC            with the number of the format
    SHA-256          of all that follows, 32 bytes
    key              digest of code, rules and size class, 32 bytes
    n, p, e, z       numbers of pieces, pairs and entries, and bytes of the frame, four int64
    features, contents   of the pieces (`Sketches.features`, `Sketches.contents`), n uint64 each
    left, right      of the pairs: piece × VOICES + voice of the piece, p uint32 each
    relation         p uint8 (`pairs.Pairs`)
    codes            of the standing of the pieces' entries, voice by voice: e low bytes, then, of more than 256
                     standings, e high ones, in one Zstandard frame
    standings        weight and depth (`index.Standing`) that each code stands for, uint8 each, to the end
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
from tokenization.compiled import compiled
from tokenization.compiled.sources import source_digest

MAGIC = b"musenet pairs 3\n"
VOICES = 16
"""More than the most voices of a piece."""
DIGEST = hashlib.sha256().digest_size
HEAD = DIGEST + 32
"""Bytes of key and numbers."""
STANDINGS = 1 << 16
"""Weights times depths, as far as a byte holds each."""
CODEC = pa.Codec("zstd", 1)  # nearly all features of a usual collection stand alone: a twentieth is left


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
    n, p, e, z = np.frombuffer(content, np.int64, 4, DIGEST).tolist()
    features, earlier = np.frombuffer(content, np.uint64, 2 * n, HEAD).reshape(2, n)
    left, right = np.frombuffer(content, np.uint32, 2 * p, HEAD + 16 * n).reshape(2, p)
    relation = np.frombuffer(content, np.uint8, p, HEAD + 16 * n + 8 * p)
    frame = HEAD + 16 * n + 9 * p
    standings = np.frombuffer(content, np.uint8, offset=frame + z).reshape(-1, 2)
    planes = _planes(len(standings))
    codes = np.frombuffer(CODEC.decompress(content[frame : frame + z], planes * e), np.uint8).reshape(planes, e)

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
    _put(collection, piece, codes, standings, *standing)
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
    for planes in (1, 2):
        codes = np.empty((planes, entries), np.uint8)
        standings = _take(collection, with_voices, index.weight, index.depth, codes)
        if planes == _planes(len(standings)):
            break
    frame = CODEC.compress(codes.reshape(-1), asbytes=True)
    arrays: list[NDArray[Any]] = [
        np.array([len(with_voices), len(pairs.left), entries, len(frame)], np.int64),
        features,
        collection.contents[with_voices],
        *sides,
        pairs.relation,
    ]
    content = _key(collection, rules) + b"".join([*(array.tobytes() for array in arrays), frame, standings.tobytes()])
    write_atomically(path, MAGIC + hashlib.sha256(content).digest() + content)


def _with_voices(collection: Sketches) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the pieces that have voices, and the digests of their features."""
    pieces = np.flatnonzero(np.diff(collection.first_voice))
    return pieces, collection.features[pieces]


def _planes(standings: int) -> int:
    """Return how many bytes tell so many standings apart."""
    return 1 if standings <= 256 else 2


@compiled
def _take(
    collection: Sketches,
    pieces: NDArray[np.int64],
    weight: NDArray[np.uint8],
    depth: NDArray[np.uint8],
    codes: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Write codes of the standings of the pieces' entries, voice by voice; return what they stand for, shape (k, 2).

    `codes`: low bytes, and high ones if it has a second row; without it those of more than 256 standings are wrong.
    """
    code_of, standings = np.full(STANDINGS, -1, np.int64), np.empty((STANDINGS, 2), np.uint8)
    start, end, low, high = collection.start, collection.end, codes[0], codes[len(codes) - 1]
    known = count = 0
    for piece in pieces:
        for voice in range(collection.first_voice[piece], collection.first_voice[piece + 1]):
            for word in range(start[voice], end[voice]):
                standing = np.int64(weight[word]) << 8 | np.int64(depth[word])
                if code_of[standing] < 0:
                    code_of[standing] = known
                    standings[known, 0], standings[known, 1] = weight[word], depth[word]
                    known += 1
                high[count] = code_of[standing] >> 8
                low[count] = code_of[standing] & 255
                count += 1
    return standings[:known].copy()


@compiled
def _put(
    collection: Sketches,
    pieces: NDArray[np.int64],
    codes: NDArray[np.uint8],
    standings: NDArray[np.uint8],
    weight: NDArray[np.uint8],
    depth: NDArray[np.uint8],
) -> None:
    """Put the standings that `_take` coded in the places of their words."""
    start, end, low, high = collection.start, collection.end, codes[0], codes[len(codes) - 1]
    shift = 8 * (len(codes) - 1)
    count = 0
    for piece in pieces:
        for voice in range(collection.first_voice[piece], collection.first_voice[piece + 1]):
            for word in range(start[voice], end[voice]):
                code = np.int64(low[count]) | np.int64(high[count]) << shift
                weight[word], depth[word] = standings[code, 0], standings[code, 1]
                count += 1


def _key(collection: Sketches, rules: Rules) -> bytes:
    text = f"{fingerprint.VERSION} {_code()} {rules} {size_class(len(collection.total))}"
    return hashlib.sha256(text.encode()).digest()


def _code() -> str:
    """Return a digest of the source of all that the outcome of a comparison depends on."""
    return source_digest(Path(__file__))
