"""Tables of files: rows with path, size, version and file reference, built from columns of names."""

from __future__ import annotations

import os
from typing import Any

import polars as pl

from flows.ingestion.sources.archives import Members
from flows.ingestion.sources.printable_names import printable
from flows.ingestion.sources.reading import FILE_REF, ContainerKind

_COLUMNS = {
    "path": pl.String(),
    "size": pl.Int64(),
    "version": pl.String(),
    "midi": pl.Boolean(),
    "member": pl.Binary(),
    "offset": pl.Int64(),
    "stored": pl.Int64(),
    "crc": pl.Int64(),
}


def plain_files(
    container: str, names: list[bytes], sizes: list[int], versions: list[str | None] | pl.Series | None = None
) -> pl.DataFrame:
    """Return the rows of files below a folder or prefix, columns as in `_rows`."""
    member = pl.Series(names, dtype=pl.Binary)
    columns = {"member": member, "path": printable(member), "size": sizes, "version": versions}
    return _rows(ContainerKind.FOLDER, container, columns)


def archived_files(kind: ContainerKind, archive: str, path: str, version: str | None, members: Members) -> pl.DataFrame:
    """Return the rows of an archive's members, columns as in `_rows`.

    `archive`: its path or URL. `path`: its path in the collection, empty if it is the collection. `version`: that of
    the archive in its store, from which each member's is derived.
    """
    columns: dict[str, Any] = {
        "path": printable(pl.Series(members.names, dtype=pl.Binary)),
        "size": members.sizes,
        "offset": members.offsets,
        "stored": members.stored,
        "crc": members.crcs,
        "midi": members.midi,
    }
    frame = _rows(kind, archive, columns, members.index)
    prefix, offset = f"{path}/" if path else "", pl.col("file_ref").struct.field("offset")
    return frame.with_columns(
        path=pl.lit(prefix) + pl.col("path"),
        version=pl.lit(None, dtype=pl.String) if version is None else pl.format("{}#{}", pl.lit(version), offset),
    )


def with_distinct_paths(frame: pl.DataFrame) -> pl.DataFrame:
    """Number files of one path (an archive may hold two; two odd names may print alike): `a.mid [2]`. Sort by path."""
    ref = pl.col("file_ref").struct
    frame = frame.sort("path", ref.field("container"), ref.field("member"), ref.field("offset"))
    number = pl.int_range(1, pl.len() + 1).over("path")
    path = pl.when(number == 1).then(pl.col("path")).otherwise(pl.format("{} [{}]", "path", number))
    frame = frame.with_columns(path.alias("path")).sort("path")
    return with_distinct_paths(frame) if frame["path"].is_duplicated().any() else frame


def _rows(kind: ContainerKind, container: str, columns: dict[str, Any], index: str | None = None) -> pl.DataFrame:
    """Return rows of path, size, version, file_ref, and `midi`: true for files known to begin like MIDI, or null."""
    given = {name: column for name, column in columns.items() if column is not None}
    frame = pl.DataFrame(given, schema_overrides={name: _COLUMNS[name] for name in given})
    same = {"kind": kind.value, "container": os.fsencode(container), "index": index and os.fsencode(index)}
    fields = [
        pl.lit(same[name]).cast(dtype).alias(name)
        if name in same
        else pl.col(name)
        if name in given
        else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in FILE_REF.to_schema().items()
    ]
    others = [
        pl.col(name) if name in given else pl.lit(None, dtype=_COLUMNS[name]).alias(name)
        for name in ("path", "size", "version", "midi")
    ]
    return frame.select(*others, pl.struct(fields).alias("file_ref"))
