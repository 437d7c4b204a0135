"""Parse jobs: turn the bytes of a partition's files into rows of the store. They run in worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from flows.engines import NO_ITEM, Failure, Heartbeat
from flows.ingestion.parsing.store import COLUMNS, Store
from flows.ingestion.sources import FileRef, ReadFailure, read_files
from infra.object_store import Folder
from tokenization.dataset.manifest import Reason
from tokenization.fingerprint import fingerprint, note_hash
from tokenization.midi import MidiError, read_score


class ParseLimits(BaseModel):
    """Limits on the cost of reading one file; a file beyond one is quarantined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bytes: int = Field(16 * 2**20, gt=0)
    """Largest file that is read."""
    seconds_per_file: float = Field(30.0, gt=0)
    """Time a worker may take over one file."""
    worker_bytes: int = Field(2 * 2**30, gt=2**28)
    """Memory a worker may allocate beyond what it starts with."""


@dataclass(frozen=True)
class FailedItem:
    """A file that crashed its worker or exceeded the time limit."""

    item: int
    failure: Failure


@dataclass(frozen=True)
class ParseJob:
    """Files of one partition that are missing from the store."""

    file_refs: tuple[FileRef, ...]
    sha256: tuple[str, ...]
    store: Folder
    limits: ParseLimits
    failed: tuple[FailedItem, ...] = ()
    """Items not to be read again; each becomes a refusal."""

    def without(self, item: int, failure: Failure) -> Self:
        """Return the job with one item marked as failed."""
        return replace(self, failed=(*self.failed, FailedItem(item, failure)))


@dataclass(frozen=True)
class ParseResult:
    """The part that a job added to the store, and its counts."""

    part: str
    files: int
    refused: int


def parse(job: ParseJob, heartbeat: Heartbeat) -> ParseResult:
    """Read the files of a job and add them to the store as one part."""
    rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in _rows(job, heartbeat):
        for name, column in rows.items():
            column.append(row.get(name))
    heartbeat.at(NO_ITEM)
    part = Store(job.store).write(rows)
    return ParseResult(part, len(job.sha256), sum(reason is not None for reason in rows["refusal"]))


def _rows(job: ParseJob, heartbeat: Heartbeat) -> Iterator[dict[str, Any]]:
    failed = {each.item: each.failure for each in job.failed}
    good = [item for item in range(len(job.sha256)) if item not in failed]
    contents = read_files([job.file_refs[item] for item in good], job.limits.max_bytes)
    for item in range(len(job.sha256)):
        if item in failed:
            yield {"sha256": job.sha256[item], **_failed(failed[item], job.limits)}
            continue
        heartbeat.at(item)
        yield {"sha256": job.sha256[item], **_read(next(contents), job.sha256[item])}


def _failed(failure: Failure, limits: ParseLimits) -> dict[str, Any]:
    if failure is Failure.TIMED_OUT:
        return _refusal(Reason.TIMED_OUT, f"not read within {limits.seconds_per_file:g} s")
    return _refusal(Reason.PARSER_CRASHED, "the parser's process ended while reading this file")


def _read(data: bytes | ReadFailure, sha256: str) -> dict[str, Any]:
    """Return the columns of a file's row, all but its hash: facts and score, or a refusal."""
    if isinstance(data, ReadFailure):
        return _refusal(Reason.UNREADABLE_FILE, data.detail)
    if hashlib.sha256(data).hexdigest() != sha256:
        return _refusal(Reason.UNREADABLE_FILE, "the file was changed while it was being ingested; ingest it again")
    try:
        score = read_score(data)
        notes = score.to_notes()
        sounding = notes.program[~notes.drum]
        return {
            "repairs": [str(repair) for repair in score.repairs],
            "notes": len(notes),
            "seconds": round(notes.seconds, 3),
            "tempo": round(notes.tempo, 3),
            "programs": np.flatnonzero(np.bincount(sounding, minlength=1)).tolist(),
            "drums": len(sounding) < len(notes),
            "note_hash": note_hash(notes),
            "fingerprint": fingerprint(notes).tobytes(),
            "score": score.to_bytes(),
        }
    except MidiError as error:
        return _refusal(Reason(error.reason.value), error.detail)
    except MemoryError:
        return _refusal(Reason.PARSER_CRASHED, "reading it needs more memory than a worker may take")
    except Exception as error:  # a defect of the reader costs this file, not the run
        return _refusal(Reason.PARSER_CRASHED, f"{type(error).__name__}: {error}")


def _refusal(reason: Reason, detail: str) -> dict[str, Any]:
    return {"refusal": str(reason), "detail": detail, "repairs": []}
