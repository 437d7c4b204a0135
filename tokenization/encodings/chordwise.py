"""The chordwise encoding: what sounds at one time is one token, where it is a chord that was learned.

`bach piano start tempo90 chord(piano:v72:C4+piano:v72:E4) wait:48 chord(piano:v72:D4+piano:v0:E4) … end`

A chord names all notes that sound, each struck now or (`v0`) still sounding; what it does not name has ended. Where a
combination is none of the learned chords, its changes are written as `combined` writes them, so nothing is lost.
Source: OpenAI, "MuseNet" (2019), "every combination of notes sounding at one time".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.encodings.encoding import HEADER, Encoding
from tokenization.encodings.grid import column_of
from tokenization.encodings.stream import note_places
from tokenization.vocabulary import NO_ROW, PITCHES, Tokens, Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

FREE = -1
"""A place in the hash table without a chord."""


class Chordwise(Encoding):
    """`combined` with chords."""

    name = "chordwise"
    version = 2
    writes_ends = True
    learns = LearnedKind.CHORD

    def merge(self, tokens: Tokens) -> Tokens:
        if not self.vocabulary.learned:
            return tokens
        members, first, hashes, places = self._chords
        music = column_of(tokens, np.uint16)
        learned_base = self.vocabulary.learned_base
        return _merge(music, HEADER, self._off_token, members, first, hashes, places, learned_base)

    def expand(self, tokens: Tokens) -> Tokens:
        if not self.vocabulary.learned:
            return tokens
        spelling = self.vocabulary.expansion
        return _expand(
            column_of(np.asarray(tokens), np.uint16),
            self._off_token,
            self._places,
            spelling.tokens,
            spelling.first,
            self.vocabulary.learned_base,
        )

    @cached_property
    def _off_token(self) -> NDArray[np.int64]:
        return off_tokens(self.vocabulary)

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        return note_places(self.vocabulary)

    @cached_property
    def _chords(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
        """Members of all chords and where each one's begin; a hash table: hashes, and the chord at each place."""
        items = self.vocabulary.learned.items
        members = np.array([token for item in items for token in item], np.int64)
        first = np.cumsum([0, *(len(item) for item in items)])
        hashes, places = _hash_table(members, first, 1 << (2 * len(items)).bit_length())
        return members, first, hashes, places


def off_tokens(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The note-off of each note id, itself for a note-off, -1 for drums; shape (note ids,)."""
    row, pitch = np.divmod(np.arange(vocabulary.note_end), PITCHES)
    off = vocabulary.off_row[vocabulary.row_instrument[row]].astype(np.int64)
    return np.where(off == NO_ROW, -1, off * PITCHES + pitch)


def learn_chords(pieces: Iterable[Tokens], vocabulary: Vocabulary, count: int) -> LearnedTokens:
    """The up to `count` chords that spare most tokens in whole pieces of plain tokens.

    The same pieces give the same chords, in whatever order.
    """
    music = [column_of(tokens, np.uint16) for tokens in pieces]
    off_token = off_tokens(vocabulary)
    found = [_list_chords(tokens, HEADER, off_token) for tokens in music]
    if not found:
        return LearnedTokens(LearnedKind.CHORD)
    hashes, spared, sizes = (np.concatenate(column) for column in zip(*found))
    chords, where, which = np.unique(hashes, return_index=True, return_inverse=True)
    totals = np.bincount(which, spared, len(chords)).astype(np.int64)
    best = np.lexsort((chords, -totals))[:count]
    best = best[totals[best] > 0]
    piece = np.repeat(np.arange(len(music)), [len(column) for column, _, _ in found])
    number = np.concatenate([np.arange(len(column)) for column, _, _ in found])
    items = []
    for place in where[best].tolist():
        members = _members(music[piece[place]], HEADER, off_token, number[place], sizes[place])
        items.append(tuple(sorted(members.tolist())))
    return LearnedTokens(LearnedKind.CHORD, tuple(items))


@compiled
def _mixed(token: Any) -> Any:
    """64 bits that depend on all bits of a token id (splitmix64); a set's hash is their exclusive or."""
    z = np.uint64(token + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def _hash_table(
    members: NDArray[np.int64], first: NDArray[np.int64], size: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Open addressing: a chord stands at the place its hash says, or at the next free one."""
    hashes, places = np.zeros(size, np.uint64), np.full(size, FREE, np.int64)
    for chord in range(len(first) - 1):
        value = np.uint64(0)
        for member in members[first[chord] : first[chord + 1]]:
            value ^= _mixed(member)
        at = np.int64(value & np.uint64(size - 1))
        while places[at] != FREE:
            at = (at + 1) & (size - 1)
        hashes[at], places[at] = value, chord
    return hashes, places


@compiled
def _group_end(tokens: Tokens, begin: int, notes: int) -> int:
    """Where the notes that begin at `begin` stop."""
    end = begin
    while end < len(tokens) and tokens[end] < notes:
        end += 1
    return end


@compiled
def _hear(
    tokens: Tokens, off_token: NDArray[np.int64], sounding: NDArray[np.bool_], held: Any, many: int
) -> tuple[Any, Any, int, int]:
    """What a group of notes does: the hash of those that go on, that of those struck, and how many of each.

    `sounding` (by note-off) is left with what goes on; `held` and `many` are the hash and number before.
    """
    struck = np.uint64(0)
    strikes = 0
    for token in tokens:
        off = off_token[token]
        if off >= 0 and sounding[off]:
            sounding[off] = False
            held ^= _mixed(off)
            many -= 1
        if off != token:
            struck ^= _mixed(np.int64(token))
            strikes += 1
    return held, struck, many, strikes


@compiled
def _hold(
    tokens: Tokens, off_token: NDArray[np.int64], sounding: NDArray[np.bool_], held: Any, many: int
) -> tuple[Any, int]:
    """Count what a group has struck among what goes on."""
    for token in tokens:
        off = off_token[token]
        if off >= 0 and off != token and not sounding[off]:
            sounding[off] = True
            held ^= _mixed(off)
            many += 1
    return held, many


@compiled
def _list_chords(
    tokens: Tokens, header: int, off_token: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Of each group of notes that is written between two waits: hash of the chord, tokens it would spare, its size."""
    notes = len(off_token)
    hashes, spared = np.empty(len(tokens), np.uint64), np.empty(len(tokens), np.int64)
    sizes = np.empty(len(tokens), np.int64)
    sounding = np.zeros(notes, np.bool_)
    held = np.uint64(0)
    found = many = 0
    at = header
    while at < len(tokens):
        end = _group_end(tokens, at, notes)
        if end > at:
            group = tokens[at:end]
            held, struck, many, strikes = _hear(group, off_token, sounding, held, many)
            hashes[found], spared[found], sizes[found] = held ^ struck, end - at - 1, many + strikes
            held, many = _hold(group, off_token, sounding, held, many)
            found += 1
        at = end + 1
    return hashes[:found].copy(), spared[:found].copy(), sizes[:found].copy()


@compiled
def _members(tokens: Tokens, header: int, off_token: NDArray[np.int64], number: int, size: int) -> NDArray[np.int64]:
    """The ids of the chord that group `number` makes: struck, or the note-off of what goes on."""
    notes = len(off_token)
    sounding = np.zeros(notes, np.bool_)
    held = np.uint64(0)
    out = np.empty(size, np.int64)
    many = groups = 0
    at = header
    while at < len(tokens):
        end = _group_end(tokens, at, notes)
        if end > at:
            group = tokens[at:end]
            held, _, many, _ = _hear(group, off_token, sounding, held, many)
            if groups == number:
                filled = 0
                for off in np.flatnonzero(sounding):
                    out[filled] = off
                    filled += 1
                for token in group:
                    if off_token[token] != token:
                        out[filled] = token
                        filled += 1
                break
            held, many = _hold(group, off_token, sounding, held, many)
            groups += 1
        at = end + 1
    return out


@compiled
def _merge(
    tokens: Tokens,
    header: int,
    off_token: NDArray[np.int64],
    members: NDArray[np.int64],
    first: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    places: NDArray[np.int64],
    learned_base: int,
) -> Tokens:
    """The tokens with each group of notes as a chord, if it is one of them."""
    notes, size = len(off_token), len(places)
    out = np.empty(len(tokens), np.uint16)
    out[:header] = tokens[:header]
    sounding = np.zeros(notes, np.bool_)
    struck_in = np.full(notes, -1, np.int64)  # the group in which each note was struck last
    held = np.uint64(0)
    filled, many = header, 0
    at = header
    while at < len(tokens):
        end = _group_end(tokens, at, notes)
        if end > at:
            group = tokens[at:end]
            held, struck, many, strikes = _hear(group, off_token, sounding, held, many)
            for token in group:
                if off_token[token] != token:
                    struck_in[token] = at
            chord = np.int64(FREE)
            place = np.int64((held ^ struck) & np.uint64(size - 1))
            while chord == FREE and places[place] != FREE:
                candidate = places[place]
                if hashes[place] == held ^ struck and first[candidate + 1] - first[candidate] == many + strikes:
                    chord = candidate
                    # Hashes may be equal by chance; the members are not.
                    for member in members[first[candidate] : first[candidate + 1]]:
                        here = sounding[member] if off_token[member] == member else struck_in[member] == at
                        if not here:
                            chord = np.int64(FREE)
                place = (place + 1) & (size - 1)
            if chord == FREE:
                out[filled : filled + end - at] = group
                filled += end - at
            else:
                out[filled] = learned_base + chord
                filled += 1
            held, many = _hold(group, off_token, sounding, held, many)
        if end < len(tokens):
            out[filled] = tokens[end]
            filled += 1
        at = end + 1
    return out[:filled].copy()


@compiled
def _expand(
    tokens: Tokens,
    off_token: NDArray[np.int64],
    order: NDArray[np.int64],
    members: NDArray[np.int64],
    first: NDArray[np.int64],
    learned_base: int,
) -> Tokens:
    """The tokens with each chord as the changes that lead to it: note-offs, then notes, as `combined` orders them.

    Of any tokens: what a chord lets go on but does not sound is ignored. `members` and `first` are of all ids.
    """
    notes = len(off_token)
    room = len(tokens)
    for token in tokens:
        if learned_base <= token < len(first) - 1:
            room += first[token + 1] - first[token]
    out = np.empty(2 * room, np.uint16)  # whatever sounds was struck, and ends once
    sounding, goes_on = np.zeros(notes, np.bool_), np.zeros(notes, np.bool_)
    now = np.empty(notes, np.int64)  # what sounds, as note-offs, in any order
    many = filled = 0
    for token in tokens:
        begin = filled
        if token < notes:
            out[filled] = token
            filled += 1
        elif token < learned_base:
            out[filled] = token
            filled += 1
            continue
        elif token < len(first) - 1:
            chord = members[first[token] : first[token + 1]]
            for member in chord:
                if off_token[member] == member:
                    goes_on[member] = True
            for i in range(many):
                if not goes_on[now[i]]:
                    out[filled] = now[i]
                    filled += 1
            for member in chord:
                if off_token[member] == member:
                    goes_on[member] = False
                else:
                    out[filled] = member
                    filled += 1
            for i in range(begin + 1, filled):
                event = out[i]
                j = i
                while j > begin and order[out[j - 1]] > order[event]:
                    out[j] = out[j - 1]
                    j -= 1
                out[j] = event
        for event in out[begin:filled]:
            off = off_token[event]
            if off >= 0:
                sounding[off] = off != event
                if off != event:
                    now[many] = off
                    many += 1
        # What has ended, or was struck anew, stands in `now` no more, or once.
        kept = 0
        for i in range(many):
            if sounding[now[i]]:
                sounding[now[i]] = False
                now[kept] = now[i]
                kept += 1
        for i in range(kept):
            sounding[now[i]] = True
        many = kept
    return out[:filled].copy()
