"""Groups: the notes that plain tokens write between two waits, and the chord that each leads to.

A chord is compared by its hash, the exclusive or over its members: struck notes by their id, held ones by the id of
their note-off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.vocabulary import Tokens


@compiled
def hash_of(token: Any) -> Any:
    """Return 64 bits that depend on all bits of a token id (splitmix64)."""
    z = np.uint64(token + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def group_end(tokens: Tokens, begin: int, notes: int) -> int:
    """Return the end of the group that begins at `begin`; `notes` is the number of note ids."""
    end = begin
    while end < len(tokens) and tokens[end] < notes:
        end += 1
    return end


@compiled
def strike(
    group: Tokens, off_token: NDArray[np.int64], held: NDArray[np.bool_], held_hash: Any, held_count: int
) -> tuple[Any, Any, int, int]:
    """Apply a group's note-offs and notes to what is held, and return its chord in parts.

    `held` (by note-off id) is left with the notes that the group does not touch; `held_hash` and `held_count` describe
    it before. Returns the hash of those held, the hash of those struck, and the number of each.
    """
    struck_hash = np.uint64(0)
    struck_count = 0
    for token in group:
        off = off_token[token]
        if off >= 0 and held[off]:
            held[off] = False
            held_hash ^= hash_of(off)
            held_count -= 1
        if off != token:
            struck_hash ^= hash_of(np.int64(token))
            struck_count += 1
    return held_hash, struck_hash, held_count, struck_count


@compiled
def hold_struck(
    group: Tokens, off_token: NDArray[np.int64], held: NDArray[np.bool_], held_hash: Any, held_count: int
) -> tuple[Any, int]:
    """Add the notes that a group has struck to those held, and return their hash and number."""
    for token in group:
        off = off_token[token]
        if off >= 0 and off != token and not held[off]:
            held[off] = True
            held_hash ^= hash_of(off)
            held_count += 1
    return held_hash, held_count
