"""The fingerprint of a piece: sketches of its voices, as one array.

A fingerprint of v voices is an array of uint64:

    word 0            v in bits 0–31, 0 for a piece with too few notes for a feature; the notes of the piece that its
                      voices are taken from in bits 32–63, unisons of one onset counted once
    words 1 … v       a voice: its number of entries in bits 0–15, its number of notes (at most 16,383) in bits 16–29,
                      1 in bit 30 for drums, 1 in bit 31 if the entries are all of its features, the seconds of a unit
                      of begins in bits 32–63 (float32)
    the rest          the entries of the voices (see `sketch`), one voice after the other
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled, constant
from tokenization.fingerprint.lines import top_line
from tokenization.fingerprint.sketch import BEGINS, sketch
from tokenization.midi.notes import Notes

VERSION = 2
"""Raised with every change that alters fingerprints; only those of one version can be compared."""

WHOLE, INSTRUMENT = constant(128), constant(64)
"""Entries of the sketch of the whole piece, and of one of its instruments."""
DENSE = constant(384)
"""Notes of a voice from which a sketch of the whole piece has twice the entries: in long, dense pieces two
transcriptions of one performance have few features in common."""
VOICES = constant(8)
"""Instruments with a sketch of their own: those with the most notes."""
FEWEST = constant(24)
"""Notes from which an instrument has a sketch."""
BASSES = (constant(32), constant(40))
"""General MIDI programs that have none: one pattern of the bass serves many songs."""
PITCHED, DRUMS = constant(1), constant(2)
"""Kinds of voices."""


def fingerprint(notes: Notes) -> NDArray[np.uint64]:
    """Return the fingerprint of a piece, at most 1 + 9 + 768 words; equal on any machine.

    Drums are left out unless there is nothing else.
    """
    return _fingerprint(notes.onset, notes.pitch, notes.program, notes.drum)


@compiled
def _fingerprint(
    onset: NDArray[np.float64], pitch: NDArray[np.uint8], program: NDArray[np.uint8], drum: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    n = len(onset)
    only_drums = drum.all()
    unit = np.float32(max(onset[n - 1] / BEGINS, 1e-6)) if n else np.float32(1.0)
    scale = np.uint64(np.array([unit], np.float32).view(np.uint32)[0]) << np.uint64(32)
    # Notes by instrument: a counting sort that keeps the order of onsets
    ends = np.zeros(129, np.int64)
    for i in range(n):
        ends[program[i] + 1] += only_drums or not drum[i]
    counts = ends[1:].copy()
    ends = np.cumsum(ends)
    total = ends[128]
    onsets, pitches = np.empty(total, np.float64), np.empty(total, np.uint8)
    by_onset, by_pitch = np.empty(total, np.float64), np.empty(total, np.uint8)
    place, chosen = ends[:128].copy(), 0
    for i in range(n):
        if only_drums or not drum[i]:
            onsets[chosen], pitches[chosen] = onset[i], pitch[i]
            by_onset[place[program[i]]], by_pitch[place[program[i]]] = onset[i], pitch[i]
            place[program[i]] += 1
            chosen += 1
    different = 0  # a part that is doubled at the unison counts once
    for i in range(total):
        different += i == 0 or onsets[i] != onsets[i - 1] or pitches[i] != pitches[i - 1]
    entries = np.empty(2 * WHOLE + VOICES * INSTRUMENT, np.uint64)
    heads = np.empty(1 + VOICES, np.uint64)
    voices = used = 0
    instruments = 0 if only_drums or counts.max() == total else VOICES
    counts[BASSES[0] : BASSES[1]] = 0
    for number in range(1 + instruments):
        size = INSTRUMENT
        if number:
            instrument = np.argmax(counts)
            if counts[instrument] < FEWEST:
                break
            part = slice(ends[instrument], ends[instrument] + counts[instrument])
            counts[instrument] = 0
            line_onset, line_pitch = top_line(by_onset[part], by_pitch[part])
        else:
            line_onset, line_pitch = top_line(onsets, pitches)
            size = WHOLE if len(line_pitch) < DENSE else 2 * WHOLE
        found, is_complete = sketch(line_onset, line_pitch, size, DRUMS if only_drums else PITCHED, np.float64(unit))
        if len(found):
            for entry in found:
                entries[used] = entry
                used += 1
            head = np.uint64(len(found)) | np.uint64(min(len(line_pitch), 16383)) << np.uint64(16) | scale
            heads[voices] = head | np.uint64(only_drums) << np.uint64(30) | np.uint64(is_complete) << np.uint64(31)
            voices += 1
    words = np.empty(1 + voices + used, np.uint64)
    words[0] = np.uint64(voices) | np.uint64(different) << np.uint64(32)
    for voice in range(voices):
        words[1 + voice] = heads[voice]
    for i in range(used):
        words[1 + voices + i] = entries[i]
    return words
