"""Why: the outcome of one file, and the reason for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from infra.errors import UserError
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import NAME


def outcomes_of(versions: Sequence[DatasetVersion], path: str) -> list[dict[str, Any]]:
    """Find the manifest rows of a file in some versions, each with `version`, `members` of its family, `linked_file`.

    `path` is a file on disk (found by its bytes, then by its name), a path as the manifest has it, with or without
    the collection's name, or the beginning of a SHA-256. Raises UserError when no version has it.
    """
    found = []
    named, equal = _by_name(path), _by_content(path)
    for version in versions:
        manifest = version.manifest
        # The file itself, else the same bytes under another name, else another file of that name.
        tries = (manifest.filter(rule) for rule in (named & equal, equal, named))
        rows = next((rows for rows in tries if len(rows)), manifest.clear())
        for row in rows.iter_rows(named=True):
            members = (
                manifest.filter(pl.col("family") == pl.lit(row["family"], pl.String)).select(NAME).to_series().to_list()
            )
            linked = manifest.filter(pl.col("sha256") == pl.lit(row["linked"], pl.String)).select(NAME).to_series()
            linked_file = linked[0] if len(linked) else None
            found.append({"version": str(version), **row, "linked_file": linked_file, "members": members})
    if not found:
        looked = ", ".join(map(str, versions)) or "no dataset yet"
        raise UserError(f"{path} is in no manifest (looked in: {looked}); was its folder ingested, or left out?")
    return found


def _by_name(path: str) -> pl.Expr:
    # An absolute path ends with the path below its collection, whatever folder that was.
    suffix = pl.lit("/" + path.lstrip("/")).str.ends_with(pl.concat_str(pl.lit("/"), "path"))
    return (pl.col("path") == path) | (pl.col("path").str.ends_with("/" + path)) | (path == NAME) | suffix


def _by_content(path: str) -> pl.Expr:
    if Path(path).is_file():
        return pl.col("sha256") == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    is_digest = len(path) >= 8 and set(path) <= set("0123456789abcdef")
    return pl.col("sha256").str.starts_with(path) if is_digest else pl.lit(False)
