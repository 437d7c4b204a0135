"""Listening: the notes of candidates while they are made, each once, as soon as it is final.

A prefix of a piece decodes to notes of which those that still sound end with it. Notes that end before the prefix does
are as they will be in the piece. Where tokens tell the length of a note with the note itself, those that begin before
are, too, so that a long note is heard in time; in beats, a tempo that changes while it sounds changes its end in
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from registry.serving.answers import NewNotes, NoteRow
from registry.serving.jobs import Told
from tokenization.encodings import Encoding
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary

JUST = 1e-3
"""Seconds by which a note has to end, or begin, before the prefix: less than a tick, more than rounding."""
DRUMS = 128
"""In place of the program of drums."""


def note_rows(notes: Notes, vocabulary: Vocabulary) -> list[NoteRow]:
    """Return notes as rows, by onset."""
    drums = [instrument.name for instrument in vocabulary.instruments if instrument.drum]
    names = vocabulary.output_names | {DRUMS: next(iter(drums), "drums")}
    order = np.lexsort((notes.pitch, notes.onset))
    programs = np.where(notes.drum, DRUMS, notes.program)
    columns = (np.round(notes.onset, 4), np.round(notes.duration, 4), notes.pitch, notes.velocity, programs)
    return [
        (onset, duration, pitch, velocity, names[program])
        for onset, duration, pitch, velocity, program in zip(*(column[order].tolist() for column in columns))
    ]


class NoteStream:
    """The candidates of a request as far as they are known."""

    def __init__(self, encoding: Encoding, given: Tokens) -> None:
        """`given`: the tokens that all candidates begin with."""
        self.encoding = encoding
        self.given = given
        music = encoding.decode(given)
        self.prompt = note_rows(music, encoding.vocabulary)
        self.prompt_seconds = music.seconds
        self._prompt_keys = _keys(music)
        self._tokens: dict[int, list[int]] = {}
        self._heard: dict[int, NDArray[np.int64]] = {}
        self.seconds: dict[int, float] = {}
        """That each candidate has come to."""
        self.growing: list[int] = []
        """The candidates of the last step."""

    def take(self, told: Iterable[Told]) -> Iterator[NewNotes]:
        """Take further steps; yield the notes that are final by now."""
        changed = set()
        for numbers, step in told:
            self.growing = numbers
            for number, token, seconds in zip(numbers, step.tokens.tolist(), step.seconds.tolist()):
                # Pruned candidates go on in the place where they stopped.
                tokens = self._tokens.setdefault(number, self.given.tolist())
                del tokens[step.position :]
                tokens.append(token)
                self.seconds[number] = seconds
                changed.add(number)
        for number in sorted(changed):
            notes = self._final(number)
            if len(notes):
                rows = note_rows(notes, self.encoding.vocabulary)
                yield NewNotes(candidate=number, notes=rows, seconds=round(self.seconds[number], 4))

    def _final(self, number: int) -> Notes:
        """Return the notes of a candidate that are final and not heard yet."""
        notes = self.encoding.decode(np.array(self._tokens[number], np.uint16))
        heard = self._heard.get(number, self._prompt_keys)
        keys = _keys(notes)
        known_at = notes.onset if self.encoding.writes_lengths else notes.onset + notes.duration
        is_new = (known_at < self.seconds[number] - JUST) & ~np.isin(keys, heard)
        self._heard[number] = np.concatenate([heard, keys[is_new]])
        return notes.taken(np.flatnonzero(is_new))


def _keys(notes: Notes) -> NDArray[np.int64]:
    """Return a number for each note that tells onset, instrument and pitch apart."""
    program = np.where(notes.drum, DRUMS, notes.program).astype(np.int64)
    return (np.round(notes.onset * 1e5).astype(np.int64) << 16) | (program << 7) | notes.pitch.astype(np.int64)
