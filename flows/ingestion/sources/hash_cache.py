"""The cache of SHA-256 hashes, by which an unchanged file is not read again.

A file is unchanged while its place, size and `version` are: of a local file that is inode, modification time and
status-change time (which a program cannot set), of an object its store's own hash. The cache is a folder of Parquet
parts, so that a scan writes only what it has hashed.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from infra.files import write_atomically

KEY = ("container", "member", "size", "version")
"""Columns that identify the content of a file."""
SCHEMA = {
    "container": pl.Binary(),
    "member": pl.Binary(),
    "size": pl.Int64(),
    "version": pl.String(),
    "sha256": pl.Binary(),
}
MOST_PARTS = 16
"""More parts than these are merged into one."""


def with_cached_hashes(found: pl.DataFrame, cache: Path) -> pl.DataFrame:
    """Return the files of a listing with `sha256`, null where it is not in the cache. Keeps the order of rows."""
    if found["version"].null_count() == len(found):
        return found.with_columns(pl.lit(None, pl.String).alias("sha256"))
    known = _merged(_parts(cache))
    joined = _with_place(found).join(known, on=list(KEY), how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(pl.col("sha256").bin.encode("hex")).drop("container", "member")


def cache_hashes(hashed: pl.DataFrame, cache: Path) -> None:
    """Add the hashes of files with a version to the cache."""
    new = hashed.filter(pl.col("version").is_not_null() & pl.col("sha256").is_not_null())
    if new.is_empty():
        return
    rows = _with_place(new).with_columns(pl.col("sha256").str.decode("hex")).select(SCHEMA.keys())
    parts = _parts(cache)
    if len(parts) < MOST_PARTS:
        _write(rows, cache)
        return
    everything = pl.concat([_merged(parts), rows])
    member = pl.col("version").str.extract(r"(#\d+)$")  # an archive's by its place in the archive
    newest = everything.unique(["container", "member", member], keep="last", maintain_order=True)
    _write(newest, cache)
    for part in parts:  # after the whole is written: a scan that is killed here has read each hash twice at worst
        part.unlink(missing_ok=True)


def _parts(cache: Path) -> list[Path]:
    """Return the parts, oldest first."""
    return sorted(cache.glob("[!.]*.parquet"), key=lambda part: (_age(part), part.name))


def _age(part: Path) -> int:
    try:
        return part.stat().st_mtime_ns
    except FileNotFoundError:  # merged by another scan
        return 0


def _merged(parts: list[Path]) -> pl.DataFrame:
    rows = pl.concat([pl.DataFrame(schema=SCHEMA), *_frames(parts)])
    return rows.unique(KEY, keep="last", maintain_order=True) if len(parts) > 1 else rows


def _frames(parts: list[Path]) -> Iterator[pl.DataFrame]:
    """Read parts; those that are gone or damaged are left out, so that their files are hashed again."""
    for part in parts:
        try:
            yield pl.read_parquet(part).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        except (OSError, pl.exceptions.PolarsError):
            continue


def _with_place(files: pl.DataFrame) -> pl.DataFrame:
    return files.with_columns(pl.col("file_ref").struct.field("container", "member"))


def _write(rows: pl.DataFrame, cache: Path) -> None:
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    write_atomically(cache / f"{uuid.uuid4().hex}.parquet", buffer.getvalue())
