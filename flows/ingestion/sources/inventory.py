"""The inventory of an ingestion: all files of its collections, with the SHA-256 of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from flows.ingestion.licences import licence_name
from flows.ingestion.sources.collections import Collection
from flows.ingestion.sources.hash_cache import cache_hashes, with_cached_hashes
from flows.ingestion.sources.listing import Listing, in_reading_order, list_files
from flows.ingestion.sources.reading import ReadFailure, file_refs, read_files
from tokenization.dataset.manifest import Reason

CHUNK = 256
"""Files that one thread hashes in a row; an archive is opened once for them."""

HASHES = "hashes"
"""Folder of the cache of hashes."""

Progress = Callable[[int, int], None]
"""Called with the units done and their total."""


@dataclass(frozen=True)
class Inventory:
    """All files of an ingestion.

    `files`: one row per file, sorted by collection (in the order given) and path: the columns of `Listing.files` but
    `version`, `sha256`, and for a file that cannot be read `reason` and `detail`.
    """

    files: pl.DataFrame
    ignored: dict[str, dict[str, int]]
    """By collection, how many files of each suffix were left out."""
    unused_labels: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """By collection and label file, the paths that it names and no file has."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files' contents, names, licences and styles, wherever they lie."""
        columns = ("collection", "path", "sha256", "licence", "style", "reason")
        return hashlib.sha256(self.files.select(columns).write_csv().encode()).hexdigest()


def scan(
    collections: Sequence[Collection],
    lake: str,
    index_folder: Path,
    max_bytes: int,
    threads: int,
    progress: Progress,
    remember: bool = True,
) -> Inventory:
    """List and hash all files. Raises UserError for collections that cannot be read.

    `lake`: path or URL, whose own files are left out. `max_bytes`: larger files are not read. `index_folder` keeps
    indices of archives, and the hashes of files by their versions (`hash_cache`), for the next scan; without `remember`
    no new hashes are added.
    """
    listing = list_files(collections, lake=lake, index_folder=index_folder)
    found = with_cached_hashes(in_reading_order(listing.files.with_row_index("number")), index_folder / HASHES)
    unknown = found.filter(pl.col("sha256").is_null())
    digests: list[str | ReadFailure] = []
    with ThreadPoolExecutor(threads) as pool:  # threads suffice: reading and hashing release the interpreter lock
        chunks = [unknown.slice(first, CHUNK) for first in range(0, len(unknown), CHUNK)]
        for digest in _hash_in_order(pool, chunks, max_bytes, 4 * threads):
            digests += digest
            progress(len(found) - len(unknown) + len(digests), len(found))
    failures = [digest if isinstance(digest, ReadFailure) else None for digest in digests]
    hashed = unknown.with_columns(
        pl.Series("sha256", [digest if isinstance(digest, str) else None for digest in digests], pl.String),
        pl.Series("reason", [failure and _reason(failure) for failure in failures], pl.String),
        pl.Series("detail", [failure and failure.detail for failure in failures], pl.String),
    )
    if remember:
        cache_hashes(hashed, index_folder / HASHES)
    known = found.filter(pl.col("sha256").is_not_null())
    files = pl.concat([known, hashed], how="diagonal").sort("number").drop("number", "version")
    return Inventory(_with_problems(files, listing, collections), listing.ignored, listing.unused_labels)


def _hash_in_order(
    pool: ThreadPoolExecutor, chunks: Sequence[pl.DataFrame], max_bytes: int, ahead: int
) -> Iterator[list[str | ReadFailure]]:
    """Yield the chunks' hashes in order; at most `ahead` chunks are pending, which bounds memory."""
    pending = [pool.submit(_hash, chunk, max_bytes) for chunk in chunks[:ahead]]
    for number in range(len(chunks)):
        yield pending[number % ahead].result()
        if number + ahead < len(chunks):
            pending[number % ahead] = pool.submit(_hash, chunks[number + ahead], max_bytes)


def _hash(chunk: pl.DataFrame, max_bytes: int) -> list[str | ReadFailure]:
    contents = read_files(file_refs(chunk), max_bytes)
    return [data if isinstance(data, ReadFailure) else hashlib.sha256(data).hexdigest() for data in contents]


def _reason(failure: ReadFailure) -> str:
    return Reason.TOO_LARGE if failure.too_large else Reason.UNREADABLE_FILE


def _with_problems(files: pl.DataFrame, listing: Listing, collections: Sequence[Collection]) -> pl.DataFrame:
    """Return the files with a row for each archive or folder that cannot be read."""
    if listing.problems.is_empty():
        return files
    licences = {collection.name: licence_name(collection.licence) for collection in collections}
    rows = listing.problems.select(
        "collection",
        "path",
        pl.col("collection").replace_strict(licences, return_dtype=pl.String).alias("licence"),
        pl.col("size").cast(pl.Int64),
        pl.lit(str(Reason.UNREADABLE_ARCHIVE)).alias("reason"),
        "detail",
    )
    rank = {collection.name: number for number, collection in enumerate(collections)}
    order = pl.col("collection").replace_strict(rank, return_dtype=pl.Int64)
    return pl.concat([files, rows], how="diagonal").sort(order, "path", maintain_order=True)
