"""The steps of ingestion as plain functions: stock-taking, parsing, sorting out, publishing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.duplicates import first_of_equal, mark_duplicates
from flows.ingestion.manifest import Entry, Reason, Status
from flows.ingestion.parsing import Job, Limits, Music, Refusal, parse_files
from flows.ingestion.publishing import canonical_digest, relabelled
from flows.ingestion.sources import Collection, SourceFile, file_sha256, list_files
from flows.ingestion.splits import SplitShares, split_of
from flows.settings import Lake, available_cores
from tokenization.encodings import Encoding, get_encoding
from tokenization.vocabulary import Vocabulary

Progress = Callable[[int, int], None]


class IngestParameters(BaseModel):
    """What to ingest, into which dataset, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collections: list[Collection] = Field(min_length=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """The dataset: lower-case letters, digits, `_` and `-`."""
    encoding: str = "combined"
    vocabulary: str = "musenet"
    limits: Limits = Limits()
    splits: SplitShares = SplitShares()
    workers: int = Field(default_factory=available_cores, ge=1)
    """Parser processes; without influence on the result."""
    lake: Path = Field(default_factory=lambda: Lake.at().root)

    def content_settings(self) -> dict[str, Any]:
        """The settings that the dataset's content depends on."""
        limits = self.limits.model_dump(exclude={"seconds_per_file", "worker_bytes"})
        return {"limits": limits, "splits": self.splits.model_dump()}


@dataclass(frozen=True)
class Stock:
    """All source files of an ingestion, and a key that is equal for equal files and settings."""

    files: list[SourceFile]
    sha256: list[str | None]
    input_key: str


@dataclass(frozen=True)
class Sorted:
    """Every file with its fate, the music of the accepted ones by SHA-256, and the encoding of its tokens."""

    entries: list[Entry]
    music: dict[str, Music]
    encoding: Encoding


def take_stock(parameters: IngestParameters, on_progress: Progress) -> Stock:
    """List and hash all files. Raises UserError for collections that cannot be read."""
    files = list_files(parameters.collections, lake=parameters.lake)
    hashes: list[str | None] = []
    with ThreadPoolExecutor(parameters.workers) as threads:
        for sha256 in threads.map(file_sha256, [file.location for file in files]):
            hashes.append(sha256)
            on_progress(len(hashes), len(files))
    encoding = get_encoding(parameters.encoding, Vocabulary.load(parameters.vocabulary))
    key = canonical_digest(
        {
            "files": [[f.collection, f.path, sha, f.licence, f.style] for f, sha in zip(files, hashes)],
            "settings": [parameters.limits.model_dump(), parameters.splits.model_dump()],
            "encoding": [encoding.name, encoding.version],
            "vocabulary": encoding.vocabulary.digest,
        }
    )
    return Stock(files, hashes, key)


def parse_stock(
    parameters: IngestParameters, stock: Stock, on_progress: Progress
) -> tuple[Encoding, dict[str, Music | Refusal]]:
    """Parse every different file once; outcomes by SHA-256, tokens with the styles of all files."""
    styles = {file.style for file in stock.files if file.style}
    encoding = get_encoding(parameters.encoding, Vocabulary.load(parameters.vocabulary, styles))
    firsts = [
        index for index, first in enumerate(first_of_equal(stock.sha256)) if first == index and stock.sha256[index]
    ]
    jobs = [Job(stock.files[index].location, stock.files[index].style) for index in firsts]
    outcomes: dict[str, Music | Refusal] = {}
    for index, outcome in parse_files(jobs, encoding, parameters.limits, parameters.workers):
        sha256 = stock.sha256[firsts[index]]
        assert sha256 is not None
        outcomes[sha256] = outcome
        on_progress(len(outcomes), len(jobs))
    return encoding, outcomes


def sort_out(
    parameters: IngestParameters, stock: Stock, encoding: Encoding, outcomes: dict[str, Music | Refusal]
) -> Sorted:
    """Give every file its fate: quarantined, duplicate, or accepted with family and split."""
    entries = [
        _entry(file, sha256, outcomes.get(sha256) if sha256 else None)
        for file, sha256 in zip(stock.files, stock.sha256)
    ]
    good = [entry.status is Status.ACCEPTED for entry in entries]
    entries = mark_duplicates(entries, _keys(good, stock.sha256), Reason.SAME_BYTES)
    good = [entry.status is Status.ACCEPTED for entry in entries]
    music = {sha256: outcome for sha256, outcome in outcomes.items() if isinstance(outcome, Music)}
    note_hashes = [music[sha256].note_hash if sha256 in music else None for sha256 in stock.sha256]
    entries = mark_duplicates(entries, _keys(good, note_hashes), Reason.SAME_NOTES)
    entries = _with_families(entries, parameters.splits)

    accepted = {entry.sha256 for entry in entries if entry.status is Status.ACCEPTED}
    styles = {entry.style for entry in entries if entry.status is Status.ACCEPTED and entry.style}
    final = get_encoding(parameters.encoding, Vocabulary.load(parameters.vocabulary, styles))
    kept = {
        sha256: replace(piece, tokens=relabelled(piece.tokens, encoding.vocabulary, final.vocabulary))
        for sha256, piece in music.items()
        if sha256 in accepted
    }
    return Sorted(entries, kept, final)


def _entry(file: SourceFile, sha256: str | None, outcome: Music | Refusal | None) -> Entry:
    entry = Entry(file.path, file.collection, sha256, file.size, file.licence, file.style, Status.ACCEPTED)
    match outcome:
        case None:
            return entry.quarantined(Reason.UNREADABLE_FILE, "the file's bytes cannot be read")
        case Refusal(reason, detail):
            return entry.quarantined(reason, detail)
        case Music():
            return replace(
                entry, notes=outcome.notes, seconds=outcome.seconds, programs=outcome.programs, drums=outcome.drums
            )


def _keys(good: Sequence[bool], keys: Sequence[str | None]) -> list[str | None]:
    return [key if is_good else None for is_good, key in zip(good, keys)]


def _with_families(entries: Sequence[Entry], shares: SplitShares) -> list[Entry]:
    """Families and splits; a duplicate of a duplicate follows the one that is kept in the end."""
    kept: dict[str | None, str | None] = {}
    for entry in entries:
        if entry.status is not Status.QUARANTINED:  # of equal bytes the first decides
            kept.setdefault(entry.sha256, entry.family or entry.sha256)
    placed = []
    for entry in entries:
        if entry.status is Status.QUARANTINED:
            placed.append(entry)
            continue
        family = kept.get(entry.family or entry.sha256)
        assert family is not None
        placed.append(replace(entry, family=family, split=split_of(family, shares)))
    return placed
