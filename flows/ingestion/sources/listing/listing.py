"""The listing of collections: their files as rows of a table.

It is built for ten million files: folders are walked without an object per file, an object store is asked for a whole
prefix at once, and names are processed a column at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flows.ingestion.sources.collections import Collection, distinct
from flows.ingestion.sources.label_files import unused_labels
from flows.ingestion.sources.licence_labels import licence_columns
from flows.ingestion.sources.listing.collection_search import CollectionSearch
from flows.ingestion.sources.reading import FILE_REF, ContainerKind

FILES = {
    "collection": pl.String(),
    "path": pl.String(),  # relative to the location, with forward slashes; printable; unique in its collection
    "licence": pl.String(),
    "stated_licence": pl.String(),  # as the collection states it; null where that is the same
    "style": pl.String(),
    "size": pl.Int64(),  # bytes, as declared by folder, store or archive
    "file_ref": FILE_REF,
    "version": pl.String(),  # changes with the content: an S3 ETag, or a local file's times; null where there is none
}
PROBLEMS = {"collection": pl.String(), "path": pl.String(), "size": pl.Int64(), "detail": pl.String()}


@dataclass(frozen=True)
class Listing:
    """The files of collections, and all that was left out."""

    files: pl.DataFrame
    """A row for each file, columns as in `FILES`, sorted by collection (in the order given) and path."""
    problems: pl.DataFrame
    """A row for each archive or folder that cannot be read, or not to its end; columns as in `PROBLEMS`."""
    ignored: dict[str, dict[str, int]]
    """By collection, how many files of each suffix (`""`: without) were left out; `(not a file)` are links to nothing
    in an archive, devices and the like."""
    unused_labels: dict[str, dict[str, list[str]]]
    """By collection and label file, the paths that it names and no file has."""


def list_files(collections: Iterable[Collection], lake: Path | str | None = None, *, index_folder: Path) -> Listing:
    """List every MIDI file of the collections.

    Files below the `lake` (path or URL), written by the platform itself, are left out. `index_folder` keeps the
    indices of .tar.gz archives. Raises UserError for a location that does not exist or cannot be opened, for a
    collection without MIDI files, and for two collections of one name.
    """
    collections = distinct(collections)
    files, problems, ignored = [pl.DataFrame(schema=FILES)], [pl.DataFrame(schema=PROBLEMS)], {}
    unused: dict[str, dict[str, list[str]]] = {}
    for collection in collections:
        search = CollectionSearch(collection, lake, index_folder)
        found = search.files()
        name, licences = pl.lit(collection.name).alias("collection"), licence_columns(collection, found["path"])
        files.append(found.select(name, "path", *licences, "style", "size", "file_ref", "version"))
        rows = [(collection.name, *problem) for problem in search.problems]
        problems.append(pl.DataFrame(rows, schema=PROBLEMS, orient="row"))
        ignored[collection.name] = search.ignored
        unused[collection.name] = unused_labels(found["path"], collection.label_files)
    return Listing(pl.concat(files), pl.concat(problems), ignored, unused)


def in_reading_order(files: pl.DataFrame) -> pl.DataFrame:
    """Sort a listing's rows for fast reading: the members of an archive together, in the order of their bytes."""
    ref = pl.col("file_ref").struct
    if not len(files) or files.select((ref.field("kind") == ContainerKind.FOLDER.value).all()).item():
        return files
    return files.sort(ref.field("container"), ref.field("offset"), maintain_order=True)
