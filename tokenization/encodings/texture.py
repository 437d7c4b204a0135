"""Texture: the pitches that sound at a token, and the pitches and pitch classes of the notes before it.

`texture` computes it for whole pieces, `TextureState` one token at a time while pieces are being generated,
`tokenization.dataset.windows` for parts of pieces; all by one definition, from the tokens alone, for every encoding:

    sounding   the pitches that sound once the token has taken effect, over all instruments but drums, by the age of the
               note: struck at this tick, within the last beat, within the last four beats, or before
    harmony    how many of the last SHORT and of the last LONG notes had each pitch class
    recent     the pitches of the last RECENT notes
    echo       the token that came next when the last tokens were last heard before, APART tokens ago or more and
               velocities aside, and how many they were: the longest of CONTEXTS that has an answer

A note sounds until its end or its length say; where an encoding writes neither, until its instrument's next start,
LEGATO_TICKS at most. All is packed in integers of 64 bits, FIELDS of them a token.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.effects import DRUM, LENGTH, NOTE, OFF, WAIT, EventTable
from tokenization.encodings.encoding import Encoding
from tokenization.encodings.grid import LEGATO_TICKS
from tokenization.vocabulary import PITCHES, Tokens
from tokenization.vocabulary.learned_tokens import LearnedKind

AGES = 4
"""Classes of the age of a note that sounds."""
CLASSES = 12
WORD = 64
"""Pitches of a word of `sounding`: bit p of word 2 · age + h is pitch 64 · h + p."""
SHORT, LONG = 8, 64
"""Notes over which pitch classes are counted."""
COUNT_BITS = 5
"""Bits of the count of a pitch class in a word of `harmony`; those over LONG notes are halved, so that they fit."""
RECENT = 8
RECENT_BITS = 8
"""Bits of a pitch in the word of `recent`, the latest note's the lowest: the pitch plus 1, or 0 for none."""
CONTEXTS = (16, 11, 7, 5, 3)
"""Tokens that must be the same for an echo."""
APART = 24
"""Least tokens from one context to the other. A note that is struck again and again is no echo of itself: it is common,
easily foretold without, and a model that hears each of its own repetitions as a reason for the next one never stops."""
ECHO_BITS = 8
"""Bits of the place in CONTEXTS, plus 1, in the word of `echo`, which is 0 for none; above them is the token."""
SOUNDING, HARMONY, LATEST, ECHO = slice(0, 2 * AGES), slice(2 * AGES, 2 * AGES + 2), 2 * AGES + 2, 2 * AGES + 3
FIELDS = ECHO + 1
LEAD = 256
"""Tokens before a window that are read for the notes that still sound, the pitch classes heard, and echoes."""
SLOTS = 4096
"""Contexts of a size that a piece remembers; of two with the same slot, the later one."""
ID_BITS = 16
"""Bits of a token in a slot, below those of its context's hash."""
FACTOR = np.int64(-7046029254386353131)
"""Odd, with bits like random ones: that of the golden ratio (Knuth)."""
UNSIGNED = (1 << 35) - 1
"""Takes the sign's copies off a shift by 29: with them, a number and its complement would have one hash."""
LONGEST = max(CONTEXTS)
PAST = 64
"""Tokens that are kept as they were: at least LONGEST + APART + 1."""
FOREVER = 2**62

Integers = NDArray[np.int64]


class Rules(NamedTuple):
    """What a token does, as compiled code reads it."""

    table: EventTable
    expansion: Integers
    """The plain ids that ids stand for, one after the other."""
    first: Integers
    """Those of id i are `expansion[first[i] : first[i + 1]]`."""
    writes_ends: bool
    writes_lengths: bool
    chord_base: int
    """The first id that names all notes which sound, struck now or held (`LearnedKind.CHORD`)."""
    beat: int
    """Ticks of a beat, in seconds of one at 120 a minute."""

    @classmethod
    def of(cls, encoding: Encoding) -> Rules:
        """Return the rules of an encoding."""
        vocabulary = encoding.vocabulary
        expansion = vocabulary.expansion
        return cls(
            encoding.effects.table,
            expansion.tokens,
            expansion.first,
            encoding.writes_ends,
            encoding.writes_lengths,
            vocabulary.learned_base if encoding.learns is LearnedKind.CHORD else vocabulary.size,
            vocabulary.ticks_per_beat,
        )


class Memory(NamedTuple):
    """What is remembered of pieces; first axis: the piece."""

    voices: Integers
    """Notes that sound on each pitch and have an end to come, shape (pieces, 128)."""
    start: Integers
    """Tick of the latest start of each pitch."""
    until: Integers
    """Tick at which each pitch falls silent."""
    instrument: Integers
    """That of the latest start of each pitch."""
    heard: NDArray[np.int8]
    """Pitch classes of the last LONG notes, a ring, shape (pieces, LONG)."""
    counts: Integers
    """How many of the last SHORT and of the last LONG notes have each pitch class, shape (pieces, 2, CLASSES)."""
    recent: Integers
    """The word of `recent`, shape (pieces,)."""
    past: Integers
    """The last PAST tokens, a ring: what they were but for velocities, and their ids, shape (pieces, 2, PAST)."""
    hashes: Integers
    """Those of the last tokens by size of context, 0 where there are too few, shape (pieces, contexts)."""
    next: Integers
    """The token behind each context, below its hash, shape (pieces, contexts, SLOTS)."""
    moment: Integers
    """Tick, notes heard, pitch of the latest start or −1 for a drum's, tokens heard, shape (pieces, 4)."""


def new_memory(pieces: int) -> Memory:
    """Return the memory of pieces before their first token."""
    voices, start, until, instrument = (np.zeros((pieces, PITCHES), np.int64) for _ in range(4))
    moment = np.zeros((pieces, 4), np.int64)
    moment[:, 2] = -1
    heard, counts = np.zeros((pieces, LONG), np.int8), np.zeros((pieces, 2, CLASSES), np.int64)
    past, hashes = np.zeros((pieces, 2, PAST), np.int64), np.zeros((pieces, len(CONTEXTS)), np.int64)
    following = np.zeros((pieces, len(CONTEXTS), SLOTS), np.int64)
    recent = np.zeros(pieces, np.int64)
    return Memory(voices, start, until, instrument, heard, counts, recent, past, hashes, following, moment)


class TextureState:
    """The texture of a batch of pieces that grow by one token at a time."""

    def __init__(self, encoding: Encoding, pieces: int) -> None:
        self._rules = Rules.of(encoding)
        self._memory = new_memory(pieces)

    def step(self, tokens: Integers) -> Integers:
        """Return the texture at the next token of every piece, shape (FIELDS, pieces)."""
        out = np.empty((len(tokens), FIELDS), np.int64)
        _step(np.asarray(tokens, np.int64), self._rules, self._memory, out)
        return np.ascontiguousarray(out.T)

    def keep(self, rows: Integers) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self._memory = Memory(*(column[rows] for column in self._memory))  # type: ignore[arg-type]


def texture(tokens: Tokens, encoding: Encoding) -> Integers:
    """Return the texture of a whole piece, shape (n, FIELDS)."""
    out = np.empty((len(tokens), FIELDS), np.int64)
    _follow(np.asarray(tokens, np.int64), Rules.of(encoding), new_memory(1), out)
    return out


@compiled
def _step(tokens: Integers, rules: Rules, memory: Memory, out: Integers) -> None:
    for row in range(len(tokens)):
        hear(tokens[row], rules, memory, row)
        describe(rules, memory, row, out[row])


@compiled
def _follow(tokens: Integers, rules: Rules, memory: Memory, out: Integers) -> None:
    for position in range(len(tokens)):
        hear(tokens[position], rules, memory, 0)
        describe(rules, memory, 0, out[position])


@compiled
def forget(memory: Memory, row: int) -> None:
    """Begin a piece anew."""
    memory.voices[row], memory.start[row], memory.until[row], memory.instrument[row] = 0, 0, 0, 0
    memory.counts[row] = 0
    memory.recent[row] = 0
    memory.hashes[row], memory.next[row] = 0, 0
    memory.moment[row] = 0
    memory.moment[row, 2] = -1


@compiled
def hear(token: int, rules: Rules, memory: Memory, row: int) -> None:
    """Take a token into memory. Ids outside the vocabulary do nothing."""
    if token >= len(rules.first) - 1:
        return
    _remember(token, rules, memory, row)
    kinds, values = rules.table.kind, rules.table.value
    voices, start, until, instrument = memory.voices[row], memory.start[row], memory.until[row], memory.instrument[row]
    moment = memory.moment[row]
    if token >= rules.chord_base:
        _hold(rules.expansion[rules.first[token] : rules.first[token + 1]], rules.table, voices, until)
    for member in range(rules.first[token], rules.first[token + 1]):
        plain = rules.expansion[member]
        kind, value = kinds[plain], values[plain]
        if kind == WAIT:
            moment[0] += value
        elif kind == LENGTH:
            if moment[2] >= 0:
                until[moment[2]] = max(until[moment[2]], moment[0] + value)
        elif kind == OFF and token < rules.chord_base:
            pitch = value % PITCHES
            voices[pitch] = max(voices[pitch] - 1, 0)
            if voices[pitch] == 0:
                until[pitch] = 0
        elif kind == NOTE:
            now, pitch = moment[0], value % PITCHES
            if not rules.writes_ends and not rules.writes_lengths:
                for other in range(PITCHES):
                    if instrument[other] == value // PITCHES and start[other] < now:
                        until[other] = min(until[other], now)
            voices[pitch] += 1
            start[pitch], instrument[pitch], moment[2] = now, value // PITCHES, pitch
            if rules.writes_ends:
                until[pitch] = FOREVER
            elif rules.writes_lengths:
                until[pitch] = max(until[pitch], now + 1)
            else:
                until[pitch] = now + LEGATO_TICKS
            _count(memory.heard[row], memory.counts[row], moment[1], pitch % CLASSES)
            kept = memory.recent[row] & ((1 << RECENT_BITS * (RECENT - 1)) - 1)
            memory.recent[row] = kept << RECENT_BITS | (pitch + 1)
            moment[1] += 1
        elif kind == DRUM:
            moment[2] = -1


@compiled
def _remember(token: int, rules: Rules, memory: Memory, row: int) -> None:
    """Hash the contexts that end with a token, and learn what followed those that ended APART tokens before."""
    past, hashes, following = memory.past[row], memory.hashes[row], memory.next[row]
    plain, place = rules.expansion[rules.first[token]], memory.moment[row, 3]
    is_note = rules.first[token + 1] == rules.first[token] + 1 and rules.table.kind[plain] == NOTE
    past[0, place % PAST] = -rules.table.value[plain] if is_note else token + 1  # one value for all velocities
    past[1, place % PAST] = token
    memory.moment[row, 3] = place + 1
    answer = place - APART
    if answer > 0:
        _hash(past[0], answer, hashes)
        for size in range(len(CONTEXTS)):
            if hashes[size]:
                following[size, hashes[size] % SLOTS] = hashes[size] >> ID_BITS << ID_BITS | past[1, answer % PAST]
    _hash(past[0], place + 1, hashes)


@compiled
def _hash(past: Integers, stop: int, out: Integers) -> None:
    """Write the hashes of the contexts in front of the place `stop`; 0 for those that would begin before the piece."""
    found, size = np.int64(0), len(CONTEXTS) - 1
    out[:] = 0
    for back in range(1, min(stop, LONGEST) + 1):
        found = (found + past[(stop - back) % PAST]) * FACTOR
        found ^= found >> 29 & UNSIGNED
        if back == CONTEXTS[size]:
            out[size] = found | np.int64(1) << 62
            size -= 1


@compiled
def _hold(chord: Integers, table: EventTable, voices: Integers, until: Integers) -> None:
    """End all notes but those that a chord holds."""
    held = np.zeros(PITCHES, np.int64)
    for member in chord:
        if table.kind[member] == OFF:
            held[table.value[member] % PITCHES] += 1
    for pitch in range(PITCHES):
        voices[pitch] = min(voices[pitch], held[pitch])
        if voices[pitch] == 0:
            until[pitch] = 0


@compiled
def _count(heard: NDArray[np.int8], counts: Integers, notes: int, pitch_class: int) -> None:
    """Count a note's pitch class behind `notes` others, and no longer those that are too far back."""
    for row, size in ((0, SHORT), (1, LONG)):
        if notes >= size:
            counts[row, heard[(notes - size) % LONG]] -= 1
        counts[row, pitch_class] += 1
    heard[notes % LONG] = pitch_class


@compiled
def describe(rules: Rules, memory: Memory, row: int, out: Integers) -> None:
    """Write the texture after the latest token, shape (FIELDS,)."""
    out[:] = 0
    now, counts = memory.moment[row, 0], memory.counts[row]
    start, until = memory.start[row], memory.until[row]
    for pitch in range(PITCHES):
        if until[pitch] > now:
            beats = (now - start[pitch]) // rules.beat
            age = 0 if start[pitch] == now else 1 if beats < 1 else 2 if beats < 4 else 3
            out[2 * age + pitch // WORD] |= np.int64(1) << (pitch % WORD)
    out[LATEST] = memory.recent[row]
    for size in range(len(CONTEXTS)):
        context = memory.hashes[row, size]
        entry = memory.next[row, size, context % SLOTS]
        if context and entry >> ID_BITS == context >> ID_BITS:
            out[ECHO] = (entry & ((1 << ID_BITS) - 1)) << ECHO_BITS | (size + 1)
            break
    for pitch_class in range(CLASSES):
        shift = COUNT_BITS * pitch_class
        out[2 * AGES] |= counts[0, pitch_class] << shift
        out[2 * AGES + 1] |= min(counts[1, pitch_class] >> 1, (1 << COUNT_BITS) - 1) << shift
