"""Worker processes of ingestion: their limits, and the code loaded and compiled before their first job."""

from __future__ import annotations

import importlib

from flows.engines import WorkerSettings
from flows.ingestion.card.statistics import Statistics
from flows.ingestion.parsing import ParseLimits
from tokenization.encodings import ENCODINGS, get_encoding
from tokenization.fingerprint import fingerprint, note_hash
from tokenization.midi import read_score
from tokenization.midi.score import Score
from tokenization.vocabulary import Vocabulary

ONE_NOTE = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0c\0\x90\x40\x40\x60\x80\x40\x40\0\xff\x2f\0"


def worker_settings(limits: ParseLimits) -> WorkerSettings:
    """Return the settings of worker processes that keep to `limits`."""
    return WorkerSettings(limits.seconds_per_file, limits.worker_bytes, warm_up)


def warm_up() -> None:
    """Process a file of one note from bytes to tokens, with arrays of the types that jobs use."""
    importlib.import_module("flows.ingestion.publishing.encode_job")
    score = read_score(ONE_NOTE)
    fingerprint(score.to_notes())
    note_hash(score.to_notes())
    notes = Score.from_bytes(score.to_bytes()).to_notes()
    vocabulary = Vocabulary.load("musenet")
    for name in ENCODINGS:
        encoding = get_encoding(name, vocabulary)
        Statistics.of(notes, encoding.encode(notes), vocabulary)
    Score.from_bytes(score.to_bytes()).to_notes(sustain=True)
