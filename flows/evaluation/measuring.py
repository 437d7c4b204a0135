"""Measures of real and composed pieces, with what their tokens and the index of training pieces say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenization.encodings import Encoding, Time
from tokenization.measures import Extract, PieceInfo, PieceMeasures, measure
from tokenization.midi.notes import Notes
from tokenization.originality import OriginalityIndex
from tokenization.vocabulary import Tokens, Vocabulary

UNKNOWN = float("nan")


@dataclass(frozen=True)
class Subject:
    """A piece to measure."""

    name: str
    notes: Notes
    """Of the whole piece."""
    tokens: Tokens | None = None
    """None for a piece from a file."""
    family: str | None = None
    """Of a training piece: the family whose pieces are no copies."""


@dataclass(frozen=True)
class Measuring:
    """How pieces are measured."""

    extract: Extract
    cap: float
    """The longest note of generation, in seconds."""
    index: OriginalityIndex | None
    """Of the training pieces; None: copies are not looked for."""

    def measure(self, subject: Subject, encoding: Encoding) -> PieceMeasures:
        """Measure a piece in an encoding."""
        part = self.extract.of(subject.notes)
        copied = UNKNOWN
        if self.index is not None:
            without = frozenset() if subject.family is None else frozenset({subject.family})
            copied = float(self.index.check(part, without).copied_notes) if len(part) else 0.0
        asked = ended = UNKNOWN
        if subject.tokens is not None:
            asked = asked_sounding(subject.tokens, part, encoding.vocabulary)
            ended = sounding_at_end(subject.tokens, encoding)
        info = PieceInfo(sounding_at_end=ended, asked_sounding=asked, copied_notes=copied)
        return measure(subject.notes, self.extract, info, self.cap, encoding.time is Time.BEATS)


def subjects_of(pieces: Sequence[Tokens], encoding: Encoding) -> list[Subject]:
    """Return composed pieces, named by their number."""
    return [Subject(f"{index:06}", encoding.decode(tokens), tokens) for index, tokens in enumerate(pieces)]


def asked_sounding(tokens: Tokens, notes: Notes, vocabulary: Vocabulary) -> float:
    """Return the share of the instrument groups in a header that sound in some notes; NaN if it names none."""
    asked = int(tokens[1]) - vocabulary.instrumentation_base
    if asked <= 0:
        return UNKNOWN
    programs = vocabulary.program_instrument[notes.program]
    instruments = np.unique(np.where(notes.drum, vocabulary.drum_instrument, programs))
    sounding = int(np.bitwise_or.reduce(vocabulary.group_bits[instruments], initial=0))
    return (asked & sounding).bit_count() / asked.bit_count()


def sounding_at_end(tokens: Tokens, encoding: Encoding) -> float:
    """Return the notes whose end is not written; NaN in an encoding that writes none.

    They are those that last the longer, the longer the wait that is added.
    """
    vocabulary = encoding.vocabulary
    if not encoding.writes_ends:
        return UNKNOWN
    plain = encoding.expand(tokens)
    music = plain[plain != vocabulary.end]
    soon, late = (
        encoding.read(np.append(music, vocabulary.wait_base + ticks).astype(np.uint16)).end
        for ticks in (1, vocabulary.max_wait)
    )
    return float((late > soon).sum())
