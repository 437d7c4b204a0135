"""Texture: the pitches that sound at a token, and the pitches and pitch classes of the notes before it.

`texture` computes it for whole pieces, `TextureState` one token at a time while pieces are being generated,
`tokenization.dataset.windows` for parts of pieces; all by one definition, from the tokens alone, for every encoding:

    sounding   the pitches that sound once the token has taken effect, over all instruments but drums, by the age of the
               note: struck at this tick, within the last beat, within the last four beats, or before
    harmony    how many of the last SHORT and of the last LONG notes had each pitch class
    recent     the pitches of the last RECENT notes
    echo       the token that came next when the last tokens were last heard before, velocities aside, and how many they
               were (`tokenization.encodings.echo`)

A note sounds until its end or its length say; where an encoding writes neither, until its instrument's next start,
LEGATO_TICKS at most. All is packed in integers of 64 bits, FIELDS of them a token.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.echo import EchoMemory, echo, forget_echoes, new_echo_memory, remember
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
SOUNDING, HARMONY, LATEST, ECHO = slice(0, 2 * AGES), slice(2 * AGES, 2 * AGES + 2), 2 * AGES + 2, 2 * AGES + 3
FIELDS = ECHO + 1
LEAD = 256
"""Tokens before a window that are read for the notes that still sound, the pitch classes heard, and echoes."""
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
    echo: EchoMemory
    moment: Integers
    """Tick, notes heard, pitch of the latest start or −1 for a drum's, shape (pieces, 3)."""


def new_memory(pieces: int) -> Memory:
    """Return the memory of pieces before their first token."""
    voices, start, until, instrument = (np.zeros((pieces, PITCHES), np.int64) for _ in range(4))
    moment = np.zeros((pieces, 3), np.int64)
    moment[:, 2] = -1
    heard, counts = np.zeros((pieces, LONG), np.int8), np.zeros((pieces, 2, CLASSES), np.int64)
    recent = np.zeros(pieces, np.int64)
    return Memory(voices, start, until, instrument, heard, counts, recent, new_echo_memory(pieces), moment)


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
        echoes = EchoMemory(*(column[rows] for column in self._memory.echo))
        columns = (echoes if isinstance(each, EchoMemory) else each[rows] for each in self._memory)
        self._memory = Memory(*columns)  # type: ignore[arg-type]


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
    forget_echoes(memory.echo, row)
    memory.moment[row] = 0
    memory.moment[row, 2] = -1


@compiled
def hear(token: int, rules: Rules, memory: Memory, row: int) -> None:
    """Take a token into memory. Ids outside the vocabulary do nothing."""
    if token >= len(rules.first) - 1:
        return
    kinds, values = rules.table.kind, rules.table.value
    plain = rules.expansion[rules.first[token]]
    is_note = rules.first[token + 1] == rules.first[token] + 1 and kinds[plain] == NOTE
    remember(token, -values[plain] if is_note else token + 1, memory.echo, row)  # one key for all velocities
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
    out[ECHO] = echo(memory.echo, row)
    for pitch_class in range(CLASSES):
        shift = COUNT_BITS * pitch_class
        out[2 * AGES] |= counts[0, pitch_class] << shift
        out[2 * AGES + 1] |= min(counts[1, pitch_class] >> 1, (1 << COUNT_BITS) - 1) << shift
