"""Parsing: a file's bytes to its music as tokens, or the reason why not. Runs in worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.manifest import Reason
from flows.ingestion.workers import Failure, Pool
from tokenization.encodings import Encoding, get_encoding
from tokenization.encodings.combined import HEADER
from tokenization.midi import MidiError, read_midi
from tokenization.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary


class Limits(BaseModel):
    """What a piece may be; anything beyond is quarantined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_notes: int = Field(16, ge=1)
    max_seconds: float = Field(3600.0, gt=0)
    max_notes_per_second: float = Field(200.0, gt=0)
    max_bytes: int = Field(16 * 2**20, gt=0)
    """A larger file is not parsed."""
    seconds_per_file: float = Field(30.0, gt=0)
    """Time a parser may take over one file."""
    worker_bytes: int = Field(4 * 2**30, gt=2**29)
    """Address space a worker may take."""


@dataclass(frozen=True)
class Job:
    """One file to parse."""

    location: Path
    style: str | None


@dataclass(frozen=True)
class Music:
    """What parsing found in a good file."""

    tokens: Tokens
    note_hash: str
    """SHA-256 of the music on the encoding's grid, without the header: equal for equal notes."""
    notes: int
    seconds: float
    programs: tuple[int, ...]
    drums: bool
    mask: int
    """Bits of the groups that sound."""


@dataclass(frozen=True)
class Refusal:
    """Why a file is quarantined."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Parser:
    """Parses one file; what a worker process runs."""

    encoding: str
    vocabulary_json: str
    limits: Limits

    def __call__(self, job: Job) -> Music | Refusal:
        try:
            size = job.location.stat().st_size
            if size > self.limits.max_bytes:
                return Refusal(Reason.TOO_LONG, f"{size} bytes; the limit is {self.limits.max_bytes}")
            notes = read_midi(job.location.read_bytes())
        except MidiError as error:
            return Refusal(Reason(error.reason.value), error.detail)
        except OSError as error:
            return Refusal(Reason.UNREADABLE_FILE, error.strerror or str(error))
        except MemoryError:
            return Refusal(Reason.PARSER_CRASHED, f"needs more than {self.limits.worker_bytes} bytes of memory")
        except Exception as error:  # a defect of a parser costs this file, not the worker
            return Refusal(Reason.PARSER_CRASHED, f"{type(error).__name__}: {error}")
        refusal = beyond_limits(notes, self.limits)
        return refusal or self._encoded(notes, job.style)

    def _encoded(self, notes: Notes, style: str | None) -> Music:
        tokens = _encoding(self.encoding, self.vocabulary_json).encode(notes, style)
        vocabulary = _encoding(self.encoding, self.vocabulary_json).vocabulary
        return Music(
            tokens=tokens,
            note_hash=hashlib.sha256(tokens[HEADER:].tobytes()).hexdigest(),
            notes=len(notes),
            seconds=round(notes.seconds, 3),
            programs=tuple(np.unique(notes.program[~notes.drum]).tolist()),
            drums=bool(notes.drum.any()),
            mask=int(tokens[1]) - vocabulary.instrumentation_base,
        )


@lru_cache(maxsize=1)
def _encoding(name: str, vocabulary_json: str) -> Encoding:
    return get_encoding(name, Vocabulary.from_json(vocabulary_json))


def beyond_limits(notes: Notes, limits: Limits) -> Refusal | None:
    """The limit that the notes break, if any."""
    if len(notes) < limits.min_notes:
        return Refusal(Reason.TOO_SHORT, f"{len(notes)} notes; the least is {limits.min_notes}")
    if notes.seconds > limits.max_seconds:
        return Refusal(Reason.TOO_LONG, f"{notes.seconds:.0f} s; the limit is {limits.max_seconds:.0f}")
    density = len(notes) / max(notes.seconds, 1.0)
    if density > limits.max_notes_per_second:
        return Refusal(Reason.TOO_DENSE, f"{density:.0f} notes/s; the limit is {limits.max_notes_per_second:.0f}")
    return None


def parse_files(
    jobs: Sequence[Job], encoding: Encoding, limits: Limits, workers: int
) -> Iterator[tuple[int, Music | Refusal]]:
    """(index, outcome) of every job, in the order in which they end."""
    parser = Parser(encoding.name, encoding.vocabulary.to_json(), limits)
    pool: Pool[Job, Music | Refusal] = Pool(parser, workers, limits.seconds_per_file, limits.worker_bytes)
    for index, outcome in pool.run(jobs):
        match outcome:
            case Failure.CRASHED:
                yield index, Refusal(Reason.PARSER_CRASHED, "the parser's process ended while reading this file")
            case Failure.TIMED_OUT:
                yield index, Refusal(Reason.TIMED_OUT, f"not read within {limits.seconds_per_file:.0f} s")
            case _:
                yield index, outcome
