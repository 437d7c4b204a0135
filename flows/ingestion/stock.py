"""Taking stock: which files there are, and the SHA-256 of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flows.ingestion.manifest import Reason
from flows.ingestion.sources import (
    Collection,
    Listing,
    ReadFailure,
    in_reading_order,
    list_files,
    locations,
    read_files,
)

CHUNK = 256
"""Files that one thread hashes in a row: an archive is opened once for them."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Stock:
    """All files of an ingestion.

    `files`: one row per file, sorted by collection (in the order given) and path: the columns of `Listing.files`,
    `sha256`, and for a file that cannot be read `reason` and `detail`.
    """

    files: pl.DataFrame
    ignored: dict[str, dict[str, int]]
    """By collection, how many files of each suffix were left out."""


def take_stock(
    collections: Sequence[Collection],
    lake: str,
    index_folder: Path,
    max_bytes: int,
    threads: int,
    progress: Progress,
) -> Stock:
    """List and hash all files. Raises UserError for collections that cannot be read."""
    listing = list_files(collections, lake=lake, index_folder=index_folder)
    found = in_reading_order(listing.files.with_row_index("number"))
    digests: list[str | ReadFailure] = []
    with ThreadPoolExecutor(threads) as pool:  # threads suffice: reading and hashing leave the interpreter
        chunks = [found.slice(first, CHUNK) for first in range(0, len(found), CHUNK)]
        for digest in _in_turn(pool, chunks, max_bytes, 4 * threads):
            digests += digest
            progress(len(digests), len(found))
    failures = [digest if isinstance(digest, ReadFailure) else None for digest in digests]
    files = found.with_columns(
        pl.Series("sha256", [digest if isinstance(digest, str) else None for digest in digests], pl.String),
        pl.Series("reason", [failure and _reason(failure) for failure in failures], pl.String),
        pl.Series("detail", [failure and failure.detail for failure in failures], pl.String),
    )
    files = files.sort("number").drop("number")
    return Stock(_with_problems(files, listing, collections), listing.ignored)


def _in_turn(
    pool: ThreadPoolExecutor, chunks: Sequence[pl.DataFrame], max_bytes: int, ahead: int
) -> Iterator[list[str | ReadFailure]]:
    """The chunks' hashes in order; at most `ahead` chunks wait, so that memory does not grow with their number."""
    pending = [pool.submit(_hash, chunk, max_bytes) for chunk in chunks[:ahead]]
    for number in range(len(chunks)):
        yield pending[number % ahead].result()
        if number + ahead < len(chunks):
            pending[number % ahead] = pool.submit(_hash, chunks[number + ahead], max_bytes)


def _hash(chunk: pl.DataFrame, max_bytes: int) -> list[str | ReadFailure]:
    contents = read_files(locations(chunk), max_bytes)
    return [data if isinstance(data, ReadFailure) else hashlib.sha256(data).hexdigest() for data in contents]


def _reason(failure: ReadFailure) -> str:
    return Reason.TOO_LARGE if failure.too_large else Reason.UNREADABLE_FILE


def _with_problems(files: pl.DataFrame, listing: Listing, collections: Sequence[Collection]) -> pl.DataFrame:
    """Archives that cannot be opened are files too, with a fate of their own."""
    if listing.problems.is_empty():
        return files
    licences = {collection.name: collection.licence for collection in collections}
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
