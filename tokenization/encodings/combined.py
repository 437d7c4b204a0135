"""MuseNet's combined encoding: one token for instrument, velocity and pitch, waits between.

`bach piano_strings start tempo90 piano:v72:G1 … wait:12 piano:v0:B5 … end`

On the grid of the vocabulary's ticks the encoding is exact: decoding gives back the notes of `quantise`,
none lost, none doubled. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenization.notes import Notes
from tokenization.vocabulary import NO_ROW, PITCHES, Tokens, Vocabulary

HEADER = 4
"""Tokens before the music: style, instrumentation, `start`, tempo."""
DRUM_TICKS = 12
"""Length that a decoded drum hit gets; the encoding keeps none."""


@dataclass(frozen=True)
class GridNotes:
    """Notes on the encoding's grid, sorted by instrument, pitch and start; arrays of shape (n,).

    At most one note per instrument and pitch sounds at any tick.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[np.int64]
    row: NDArray[np.int64]
    instrument: NDArray[np.int64]


class Combined:
    """The encoding over one vocabulary."""

    name = "combined"
    version = 1

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def quantise(self, notes: Notes) -> GridNotes:
        """The notes as this encoding can say them.

        Time starts at the first onset and is rounded to ticks; a note lasts at least one tick. Of notes with
        the same instrument, pitch and start the longest stays, with the loudest velocity; a note that still
        sounds when its pitch starts anew ends there.
        """
        vocabulary = self.vocabulary
        instrument = vocabulary.program_instrument[notes.program].astype(np.int64)
        instrument[notes.drum] = vocabulary.drum_instrument
        pitch = notes.pitch.astype(np.int64)
        onset = notes.onset - (notes.onset.min() if len(notes) else 0.0)
        rate = vocabulary.ticks_per_second
        start = np.rint(onset * rate).astype(np.int64)
        end = np.maximum(np.rint((onset + notes.duration) * rate).astype(np.int64), start + 1)
        held = vocabulary.off_row[instrument] != NO_ROW
        end = np.where(held, end, start + DRUM_TICKS)

        key = instrument * PITCHES + pitch
        order = np.lexsort((-end, start, key))
        key, start, end = key[order], start[order], end[order]
        first = np.flatnonzero(np.append(True, (np.diff(key) != 0) | (np.diff(start) != 0))[: len(key)])
        loudest = np.maximum.reduceat(notes.velocity[order], first) if len(first) else notes.velocity[:0]
        key, start, end, held = key[first], start[first], end[first], held[order][first]
        anew = np.append(np.diff(key) == 0, False)[: len(key)] & held
        following = np.append(start[1:], 0)[: len(start)]
        end = np.where(anew, np.minimum(end, following), end)
        instrument = key // PITCHES
        row = vocabulary.on_row[instrument, loudest].astype(np.int64)
        return GridNotes(start, end, key % PITCHES, row, instrument)

    def encode(self, notes: Notes, style: str | None = None) -> Tokens:
        """Token ids of a whole piece, shape (n,): header, music, `end`.

        Within one tick note-offs come first, then notes by pitch, then drums. Raises VocabularyError for an
        unknown style and ValueError for a piece without notes.
        """
        if not len(notes):
            raise ValueError("a piece without notes has no encoding")
        vocabulary = self.vocabulary
        grid = self.quantise(notes)
        off_row = vocabulary.off_row[grid.instrument].astype(np.int64)
        held = np.flatnonzero(off_row != NO_ROW)
        tick = np.concatenate([grid.end[held], grid.start])
        pitch = np.concatenate([grid.pitch[held], grid.pitch])
        row = np.concatenate([off_row[held], grid.row])
        kind = np.concatenate([np.zeros(len(held), np.int64), np.where(off_row == NO_ROW, 2, 1)])
        order = np.lexsort((-row, pitch, kind, tick))
        body = _with_waits(tick[order], (row * PITCHES + pitch)[order], vocabulary)

        mask = vocabulary.mask_of_instruments(np.unique(grid.instrument))
        header = [
            vocabulary.style_id(style),
            vocabulary.instrumentation_id(mask),
            vocabulary.start,
            vocabulary.tempo_id(notes.tempo),
        ]
        return np.concatenate([header, body, [vocabulary.end]]).astype(np.uint16)

    def decode(self, tokens: Tokens) -> Notes:
        """The notes of any token sequence.

        A note-off without its note is ignored; a note without a note-off ends when its pitch starts anew, at
        the latest with the sequence. Anything behind `end` is ignored. Programs are the vocabulary's output
        programs, the tempo is that of the last tempo token.
        """
        vocabulary = self.vocabulary
        ids = np.asarray(tokens).astype(np.int64)
        ends = np.flatnonzero((ids == vocabulary.end) | (ids == vocabulary.end_sample))
        ids = ids[: ends[0]] if len(ends) else ids
        time = token_ticks(ids, vocabulary)
        at = np.flatnonzero(ids < vocabulary.note_end)
        row, pitch, tick = ids[at] // PITCHES, ids[at] % PITCHES, time[at]
        instrument = vocabulary.row_instrument[row].astype(np.int64)
        drum = vocabulary.off_row[instrument] == NO_ROW

        order = np.argsort(instrument * PITCHES + pitch, kind="stable")
        key = (instrument * PITCHES + pitch)[order]
        last = int(time[-1]) if len(time) else 0
        end = np.append(np.where(np.diff(key) == 0, tick[order][1:], last), last)[: len(key)]
        end = np.where(drum[order], tick[order] + DRUM_TICKS, end)
        sounding = (vocabulary.row_velocity[row[order]] > 0) & (end > tick[order])
        chosen = order[sounding]
        rate = vocabulary.ticks_per_second
        programs = np.array([i.output_program for i in vocabulary.instruments], np.uint8)
        tempos = [tempo for tempo in map(vocabulary.tempo_of, ids[:HEADER].tolist()) if tempo]
        return Notes.from_columns(
            tick[chosen] / rate,
            (end[sounding] - tick[chosen]) / rate,
            pitch[chosen],
            vocabulary.row_velocity[row[chosen]],
            programs[instrument[chosen]],
            drum[chosen],
            **({"tempo": tempos[-1]} if tempos else {}),
        )


def token_ticks(tokens: NDArray[np.int64], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Ticks since the start after each token, shape of `tokens`: the running sum of waits."""
    waits = tokens - vocabulary.wait_base
    return np.cumsum(np.where((waits >= 1) & (waits <= vocabulary.max_wait), waits, 0), axis=-1)


def _with_waits(tick: NDArray[np.int64], token: NDArray[np.int64], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Events sorted by tick with waits put between them; a wait beyond the longest is said in several tokens."""
    gap = np.diff(tick, prepend=0)
    waits = -(-gap // vocabulary.max_wait)
    position = np.cumsum(waits + 1) - 1
    body = np.full(int(position[-1]) + 1, vocabulary.wait_base + vocabulary.max_wait, np.int64)
    body[position] = token
    waited = np.flatnonzero(waits)
    remainder = gap[waited] - (waits[waited] - 1) * vocabulary.max_wait
    body[position[waited] - 1] = vocabulary.wait_base + remainder
    return body
