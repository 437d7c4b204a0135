"""MuseNet's combined encoding: one token for instrument, velocity and pitch, waits between.

`bach piano_strings start tempo90 piano:v72:G1 … wait:12 piano:v0:B5 … end`

On the grid of the vocabulary's ticks the encoding is exact: decoding gives back every note that `encode` says
it writes, none lost, none doubled. Source: OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenization.encodings.combined_kernel import HEADER, piece_tokens
from tokenization.notes import Notes
from tokenization.vocabulary import NO_ROW, PITCHES, Tokens, Vocabulary

DRUM_TICKS = 12
"""Length that a decoded drum hit gets; the encoding keeps none."""


class Combined:
    """The encoding over one vocabulary."""

    name = "combined"
    version = 1

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def encode(self, notes: Notes, style: str | None = None) -> Tokens:
        """Token ids of a whole piece, shape (n,): header, music, `end`.

        Time starts at the first onset and is rounded to ticks; a note lasts at least one tick. Of notes with
        the same instrument, pitch and start the longest stays, with the loudest velocity; a note that still
        sounds when its pitch starts anew ends there. Within one tick note-offs come first, then notes by pitch,
        then drums; of one pitch the higher row first.

        Notes may come in any order. Raises VocabularyError for an unknown style and ValueError for a piece
        without notes or with values that MIDI does not have.
        """
        if not len(notes):
            raise ValueError("a piece without notes has no encoding")
        vocabulary = self.vocabulary
        if (notes.onset[1:] < notes.onset[:-1]).any():
            notes = _sorted_by_onset(notes)
        tokens = piece_tokens(
            _column(notes.onset, np.float64),
            _column(notes.duration, np.float64),
            _column(notes.pitch, np.uint8),
            _column(notes.velocity, np.uint8),
            _column(notes.program, np.uint8),
            _column(notes.drum, np.bool_),
            float(vocabulary.ticks_per_second),
            vocabulary.program_instrument,
            vocabulary.drum_instrument,
            vocabulary.on_row,
            vocabulary.off_row,
            vocabulary.group_bits,
            vocabulary.wait_base,
            vocabulary.max_wait,
            (
                vocabulary.style_id(style),
                vocabulary.instrumentation_base,
                vocabulary.start,
                vocabulary.tempo_id(notes.tempo),
            ),
            vocabulary.end,
        )
        if not len(tokens):
            raise ValueError("a note has a pitch, velocity or program above 127")
        return tokens

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


def _sorted_by_onset(notes: Notes) -> Notes:
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity, notes.program, notes.drum)
    return Notes.from_columns(*columns, tempo=notes.tempo)


def _column(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """The values in the one form that the kernel is compiled for; views and read-only buffers would each cost
    seconds of compiling anew."""
    column = np.ascontiguousarray(values, dtype)
    return column if column.flags.writeable else column.copy()
