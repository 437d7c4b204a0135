"""What a worker does before its first job, so that it counts against no file: load code, the compiled too."""

from __future__ import annotations

import importlib

from flows.ingestion.card.statistics import Statistics
from tokenization.encodings import ENCODINGS, get_encoding
from tokenization.fingerprint import fingerprint, note_hash
from tokenization.midi import read_score
from tokenization.midi.score import Score
from tokenization.vocabulary import Vocabulary

ONE_NOTE = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0c\0\x90\x40\x40\x60\x80\x40\x40\0\xff\x2f\0"


def prepare() -> None:
    """Go the way of a file once, from bytes to tokens, with arrays as the jobs have them."""
    importlib.import_module("flows.ingestion.publishing.sharding")
    score = read_score(ONE_NOTE)
    fingerprint(score.to_notes())
    note_hash(score.to_notes())
    notes = Score.from_bytes(score.to_bytes()).to_notes()
    vocabulary = Vocabulary.load("musenet")
    for name in ENCODINGS:
        encoding = get_encoding(name, vocabulary)
        Statistics.of(notes, encoding.encode(notes), vocabulary)
    Score.from_bytes(score.to_bytes()).to_notes(sustain=True)
