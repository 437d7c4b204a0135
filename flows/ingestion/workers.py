"""Worker processes of ingestion: their limits, and the code loaded and compiled before their first job."""

from __future__ import annotations

from flows.engines import WorkerSettings
from flows.ingestion.parsing import ParseLimits
from tokenization.fingerprint import fingerprint, note_hash
from tokenization.midi import read_score

ONE_NOTE = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0c\0\x90\x40\x40\x60\x80\x40\x40\0\xff\x2f\0"


def worker_settings(limits: ParseLimits) -> WorkerSettings:
    """Return the settings of worker processes that keep to `limits`."""
    return WorkerSettings(limits.seconds_per_file, limits.worker_bytes, warm_up)


def warm_up() -> None:
    """Read a file of one note, with arrays of the types that files have, so that no file's time includes compiling.

    Encoding has no limit of time: what it needs is loaded by the first job that encodes.
    """
    score = read_score(ONE_NOTE)
    notes = score.to_notes()
    fingerprint(notes)
    note_hash(notes)
    score.to_bytes()
