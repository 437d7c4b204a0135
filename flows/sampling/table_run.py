"""A run over a table of requests: samples that are there are found, the rest is composed, and an index lists all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from flows.engines import Engine, LazySequence
from flows.sampling.compose_job import ComposeJob, compose_piece
from flows.sampling.export import AudioOutput, Sample, sample_of
from flows.sampling.metadata import read_metadata
from flows.sampling.request_table import RequestRow
from infra.errors import UserError, message_of
from infra.files import staging_file
from registry.composer import Composer
from registry.piece import SHORT
from registry.requests import PieceRequest

NAME = re.compile(rf"-([0-9a-f]{{{SHORT}}})-c\d+\.json$")


@dataclass
class TableRun:
    """The rows of a table on their way to samples. Equal requests are composed once."""

    composer: Composer
    folder: Path
    rows: Sequence[RequestRow]
    audio: AudioOutput | None = None
    errors: dict[int, str] = field(default_factory=dict)
    """By the number of the row."""
    digests: dict[int, str] = field(default_factory=dict)
    """Digest of the request, by the number of the row."""
    samples: dict[str, Sample] = field(default_factory=dict)
    """By digest."""
    pending: dict[str, PieceRequest] = field(default_factory=dict)
    """Requests that are to be composed, by digest."""

    def prepare(self) -> list[str]:
        """Check all rows and find the samples that are there; return what the requests imply, a line a point."""
        there = find_samples(self.folder)
        lines: dict[str, None] = {}
        for row in self.rows:
            try:
                digest, said = self._check(row)
            except UserError as error:
                self.errors[row.number] = message_of(error)
                continue
            lines |= dict.fromkeys(said)
            self.digests[row.number] = digest
            assert row.request is not None
            found = there.get(digest)
            if found is not None and (self.audio is None or self._has_audio(found)):
                self.samples[digest] = found
            else:
                self.pending[digest] = row.request
        return [*lines]

    def _check(self, row: RequestRow) -> tuple[str, list[str]]:
        if row.request is None:
            raise UserError(row.error)
        prompt = self.composer.find_prompt(row.request)
        said = self.composer.check(row.request, prompt)
        return row.request.digest(self.composer.identity.digest, prompt), said

    def _has_audio(self, sample: Sample) -> bool:
        """Return True if a sample has the audio that this run is to write."""
        name = sample.audio
        return name is not None and self.audio is not None and Path(name).suffix == f".{self.audio.format}"

    def compose(self, engine: Engine, on_progress: Callable[[int, int, int], None]) -> int:
        """Compose what is pending; return the number of pieces made. `on_progress` gets done, all and failed.

        Raises JobError.
        """
        digests = list(self.pending)
        jobs = LazySequence(
            len(digests),
            lambda index: ComposeJob(
                self.pending[digests[index]],
                self.composer.files,
                self.composer.identity,
                self.folder,
                None if self.composer.lake is None else self.composer.lake.address,
                self.audio,
            ),
        )
        failed: dict[str, str] = {}
        for done, (index, outcome) in enumerate(engine.run(compose_piece, jobs), 1):
            if isinstance(outcome, Sample):
                self.samples[digests[index]] = outcome
            else:
                failed[digests[index]] = outcome
            on_progress(done, len(digests), len(failed))
        self.errors |= {number: failed[digest] for number, digest in self.digests.items() if digest in failed}
        return len(digests) - len(failed)

    def write_index(self, file: Path) -> None:
        """Write a Parquet file with a row for each row of the table: its request and its sample, or its error.

        Files are named without their folder, which is that of the index.
        """
        with staging_file(file) as staged:
            pl.DataFrame([self._index_row(row) for row in self.rows], schema=INDEX_SCHEMA).write_parquet(staged)

    def _index_row(self, row: RequestRow) -> dict[str, object]:
        identity = self.composer.identity
        digest = self.digests.get(row.number)
        found = self.samples.get(digest or "")
        about: dict[str, object] = {
            "row": row.number,
            "status": "failed" if found is None else "done",
            "error": self.errors.get(row.number),
            **({} if row.request is None else row.request.model_dump(mode="json")),
            "digest": digest,
            "model_version": identity.version,
            "model_digest": identity.digest,
        }
        if found is None:
            return about
        files = {name: Path(file).name for name in FILES if (file := getattr(found, name)) is not None}
        figures = {"score": found.score, "piece_notes": found.notes, "piece_seconds": found.seconds}
        return {**about, **files, **figures, "copied_notes": found.copied_notes}


FILES = ("midi", "text", "picture", "audio", "metadata")
_FIELD_TYPES: dict[str, pl.DataType] = {
    **dict.fromkeys(("instruments", "replace", "add"), pl.List(pl.String())),
    **dict.fromkeys(("length", "best_of", "seed", "candidate", "top_k"), pl.Int64()),
    **dict.fromkeys(("style", "blend", "key", "prompt", "opening", "infill", "weights", "rank"), pl.String()),
    **dict.fromkeys(("require", "strict_key", "prune"), pl.Boolean()),
}
INDEX_SCHEMA: dict[str, pl.DataType] = {
    "row": pl.Int64(),
    "status": pl.String(),
    "error": pl.String(),
    **{name: _FIELD_TYPES.get(name, pl.Float64()) for name in PieceRequest.model_fields},
    **dict.fromkeys(("digest", "model_version", "model_digest", *FILES), pl.String()),
    "score": pl.Float64(),
    "piece_notes": pl.Int64(),
    "piece_seconds": pl.Float64(),
    "copied_notes": pl.Int64(),
}
"""Columns of the index; those of the request are its fields, null where the row was no request."""


def find_samples(folder: Path) -> dict[str, Sample]:
    """Return the whole samples of a folder by the digest of their request; damaged ones are left out."""
    found = {}
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        if not NAME.search(file.name):
            continue
        try:
            metadata = read_metadata(file)
            midi = folder / metadata.files["midi"].name
            if hashlib.sha256(midi.read_bytes()).hexdigest() == metadata.files["midi"].sha256:
                found[metadata.digest] = sample_of(metadata, folder, file)
        except (UserError, OSError):
            continue
    return found
