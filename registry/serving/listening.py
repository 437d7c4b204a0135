"""Listening: the notes of candidates while they are made, each once, as soon as it is final."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from registry.serving.answers import NewNotes, NoteRow
from registry.serving.jobs import Told
from tokenization.encodings import Encoding
from tokenization.encodings.prefix import PrefixReader
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary

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
        self._readers: dict[int, PrefixReader] = {}
        self.seconds: dict[int, float] = {}
        """That each candidate has come to."""
        self.growing: list[int] = []
        """The candidates of the last step."""

    def take(self, told: Iterable[Told]) -> Iterator[NewNotes]:
        """Take further steps; yield the notes that are final by now."""
        tokens: dict[int, list[int]] = {}
        for numbers, step in told:
            self.growing = numbers
            for number, token, seconds in zip(numbers, step.tokens.tolist(), step.seconds.tolist()):
                tokens.setdefault(number, []).append(token)
                self.seconds[number] = seconds
        for number in sorted(tokens):
            if number not in self._readers:
                self._readers[number] = PrefixReader(self.encoding, self.given)
            notes = self._readers[number].read(np.array(tokens[number], np.uint16))
            if len(notes):
                rows = note_rows(notes, self.encoding.vocabulary)
                yield NewNotes(candidate=number, notes=rows, seconds=round(self.seconds[number], 4))
