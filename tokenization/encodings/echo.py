"""Echoes: the token that came next when the last tokens were last heard before in a piece.

What an induction head of a transformer finds (Akyürek et al., 2024, "In-Context Language Learning"), here by hashes of
the last tokens. A piece remembers what followed each context of some sizes in a table of fixed size. Contexts that
share a slot are forgotten but never mistaken for each other: a slot has most of its context's hash.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled

CONTEXTS = (16, 11, 7, 5, 3)
"""Tokens that must be the same; the longest context that has an answer counts."""
APART = 24
"""Least tokens from one context to the other. A note that is struck again and again is no echo of itself: it is common,
easily foretold without, and a model that hears each of its own repetitions as a reason for the next one never stops."""
ECHO_BITS = 8
"""Bits of the place in CONTEXTS, plus 1, in the word of an echo, which is 0 for none; above them is the token."""
SLOTS = 4096
"""Contexts of a size that a piece remembers; of two with the same slot, the later one."""
ID_BITS = 16
"""Bits of a token in a slot, below those of its context's hash."""
PAST = 64
"""Tokens that are kept as they were: at least the longest context, APART and one."""
FACTOR = np.int64(-7046029254386353131)
"""Odd, with bits like random ones: that of the golden ratio (Knuth)."""
UNSIGNED = (1 << 35) - 1
"""Takes the sign's copies off a shift by 29: with them, a number and its complement would have one hash."""

Integers = NDArray[np.int64]


class EchoMemory(NamedTuple):
    """What is remembered of pieces; first axis: the piece."""

    past: Integers
    """The last PAST tokens, a ring: their keys and their ids, shape (pieces, 2, PAST)."""
    heard: Integers
    """Tokens so far, shape (pieces,)."""
    hashes: Integers
    """Those of the contexts that end with each of the last PAST tokens, a ring, 0 for those that would begin before the
    piece, shape (pieces, PAST, contexts)."""
    following: Integers
    """The token behind each context, below its hash, shape (pieces, contexts, SLOTS)."""


def new_echo_memory(pieces: int) -> EchoMemory:
    """Return the memory of pieces before their first token."""
    past, heard = np.zeros((pieces, 2, PAST), np.int64), np.zeros(pieces, np.int64)
    hashes = np.zeros((pieces, PAST, len(CONTEXTS)), np.int64)
    return EchoMemory(past, heard, hashes, np.zeros((pieces, len(CONTEXTS), SLOTS), np.int64))


@compiled
def forget_echoes(memory: EchoMemory, row: int) -> None:
    """Begin a piece anew."""
    memory.heard[row], memory.hashes[row], memory.following[row] = 0, 0, 0


@compiled
def remember(token: int, key: int, memory: EchoMemory, row: int) -> None:
    """Hash the contexts that end with a token, and note what followed those that ended APART tokens before.

    `key`: an integer that tokens share which count as the same.
    """
    past, following, place = memory.past[row], memory.following[row], memory.heard[row]
    past[0, place % PAST], past[1, place % PAST] = key, token
    memory.heard[row] = place + 1
    answer = place - APART
    if answer > 0:
        for size in range(len(CONTEXTS)):
            context = memory.hashes[row, (answer - 1) % PAST, size]
            if context:
                following[size, context % SLOTS] = context >> ID_BITS << ID_BITS | past[1, answer % PAST]
    _hash(past[0], place + 1, memory.hashes[row, place % PAST])


@compiled
def echo(memory: EchoMemory, row: int) -> int:
    """Return the word of the echo behind the latest token."""
    latest = (memory.heard[row] - 1) % PAST
    for size in range(len(CONTEXTS)):
        context = memory.hashes[row, latest, size]
        entry = memory.following[row, size, context % SLOTS]
        if context and entry >> ID_BITS == context >> ID_BITS:
            return int((entry & ((1 << ID_BITS) - 1)) << ECHO_BITS | (size + 1))
    return 0


@compiled
def _hash(past: Integers, stop: int, out: Integers) -> None:
    """Write the hashes of the contexts in front of the place `stop`; 0 for those that would begin before the piece."""
    found, size = np.int64(0), len(CONTEXTS) - 1
    out[:] = 0
    for back in range(1, min(stop, CONTEXTS[0]) + 1):
        found = (found + past[(stop - back) % PAST]) * FACTOR
        found ^= found >> 29 & UNSIGNED
        if back == CONTEXTS[size]:
            out[size] = found | np.int64(1) << 62
            size -= 1
