"""Questions to dataset versions: what happened to this file, what changed between two, which pieces are alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from flows.ingestion.pipeline import IngestParameters, reusable, stock_of, unread
from flows.ingestion.sources import Progress
from infra.errors import UserError
from infra.settings import flatten
from tokenization.dataset import DatasetVersion
from tokenization.dataset.description import Description
from tokenization.dataset.manifest import FILE, NAME, OUTCOME, Status


def outcomes_of(versions: Sequence[DatasetVersion], path: str) -> list[dict[str, Any]]:
    """The manifest rows of a file in some versions, each with `version` and, for shared music, `members`.

    `path` is a file on disk (found by its bytes, then by its name), a path as the manifest has it, with or without
    the collection's name, or the beginning of a SHA-256. Raises UserError when no version knows it.
    """
    found = []
    named, equal = _names(path), _bytes(path)
    for version in versions:
        manifest = version.manifest
        # The file itself, else the same bytes elsewhere: another file of its name comes last.
        tries = (manifest.filter(rule) for rule in (named & equal, equal, named))
        rows = next((rows for rows in tries if len(rows)), manifest.clear())
        for row in rows.iter_rows(named=True):
            members = (
                manifest.filter(pl.col("family") == pl.lit(row["family"], pl.String)).select(NAME).to_series().to_list()
            )
            found.append({"version": str(version), **row, "members": members})
    if not found:
        looked = ", ".join(map(str, versions)) or "no dataset yet"
        raise UserError(f"{path} is in no manifest (looked in: {looked}); was its folder ingested, or left out?")
    return found


def _names(path: str) -> pl.Expr:
    # An absolute path ends with the path below its collection, whatever folder that was.
    suffix = pl.lit("/" + path.lstrip("/")).str.ends_with(pl.concat_str(pl.lit("/"), "path"))
    return (pl.col("path") == path) | (pl.col("path").str.ends_with("/" + path)) | (path == NAME) | suffix


def _bytes(path: str) -> pl.Expr:
    if Path(path).is_file():
        return pl.col("sha256") == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    is_digest = len(path) >= 8 and set(path) <= set("0123456789abcdef")
    return pl.col("sha256").str.starts_with(path) if is_digest else pl.lit(False)


@dataclass(frozen=True)
class Difference:
    """What changed from one version to another; files as `collection/path`."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    """Other bytes under the same name."""
    outcomes: list[dict[str, str]]
    """`file`, `before`, `after` of files with the same bytes and another outcome."""
    splits: list[dict[str, str]]
    styles: list[dict[str, str]]
    settings: dict[str, tuple[Any, Any]]
    """Settings (as `--set` names them), encoding and vocabulary that differ."""


def difference(before: DatasetVersion, after: DatasetVersion) -> Difference:
    """What changed from one version to the other."""
    columns = (*FILE, "sha256", "style", "split", OUTCOME.alias("outcome"))
    joined = before.manifest.select(columns).join(after.manifest.select(columns), on=FILE, how="full", suffix="_after")
    old = joined.filter(pl.col("collection_after").is_null())
    new = joined.filter(pl.col("collection").is_null())
    both = joined.filter(pl.col("collection").is_not_null() & pl.col("collection_after").is_not_null())
    same = both.filter(pl.col("sha256").eq_missing(pl.col("sha256_after")))

    def changes(column: str) -> list[dict[str, str]]:
        rows = same.filter(pl.col(column).ne_missing(pl.col(f"{column}_after")))
        chosen = rows.select(
            NAME.alias("file"), pl.col(column).alias("before"), pl.col(f"{column}_after").alias("after")
        )
        return chosen.sort("file").to_dicts()

    return Difference(
        added=sorted(new.select(pl.concat_str("collection_after", "path_after", separator="/")).to_series()),
        removed=sorted(old.select(NAME).to_series()),
        changed=sorted(both.filter(pl.col("sha256").ne_missing(pl.col("sha256_after"))).select(NAME).to_series()),
        outcomes=changes("outcome"),
        splits=changes("split"),
        styles=changes("style"),
        settings=_settings_changes(before.description, after.description),
    )


def _settings_changes(before: Description, after: Description) -> dict[str, tuple[Any, Any]]:
    flat = [
        flatten({**about.settings, **about.model_dump(mode="json", include={"encoding", "vocabulary"})})
        for about in (before, after)
    ]
    keys = sorted(flat[0].keys() | flat[1].keys())
    pairs = {key: (flat[0].get(key), flat[1].get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


@dataclass(frozen=True)
class Family:
    """Pieces that are versions of each other."""

    kept: str
    """The best of them."""
    members: list[tuple[str, str, float | None]]
    """File, why it is a duplicate (or `accepted`), and the similarity of near ones to the kept piece."""


def families_of(version: DatasetVersion) -> list[Family]:
    """All families with more than one member, the largest first."""
    rows = version.manifest.drop_nulls("family").with_columns(NAME.alias("file"))
    is_best = (pl.col("status") == Status.ACCEPTED) & (pl.col("sha256") == pl.col("family"))
    kept = rows.filter(is_best).select("family", kept_file="file")
    members = (
        rows.filter(~is_best)
        .group_by("family", maintain_order=True)
        .agg("file", pl.coalesce("reason", "status"), "similarity")
        .join(kept, on="family", how="left", maintain_order="left")
        .sort(-pl.col("file").list.len().cast(pl.Int64), "kept_file")
    )
    return [
        Family(row["kept_file"], list(zip(row["file"], row["reason"], row["similarity"])))
        for row in members.iter_rows(named=True)
    ]


@dataclass(frozen=True)
class DryRun:
    """What an ingestion would do."""

    collections: list[dict[str, Any]]
    """Name, files, bytes, styles and suffixes left out, of each."""
    files: int
    unread: int
    """Different files that no earlier run has read."""
    unreadable: list[tuple[str, str]]
    """Files whose bytes cannot be had, and why."""
    version: str | None
    """The version that would be reused because nothing changed."""


def dry_run(parameters: IngestParameters, progress: Progress) -> DryRun:
    """Find out what an ingestion would do, without doing it. Raises UserError as ingestion would."""
    stock = stock_of(parameters, progress)
    known = reusable(parameters, stock)
    _, lacking = unread(parameters, stock)
    summary = stock.files.group_by("collection", maintain_order=True).agg(
        pl.len().alias("files"),
        pl.col("size").sum().alias("bytes"),
        pl.col("style").fill_null("(none)").value_counts(sort=True).alias("styles"),
    )
    collections = [
        {
            **row,
            "styles": {style["style"]: style["count"] for style in row["styles"]},
            "ignored": stock.ignored.get(row["collection"], {}),
        }
        for row in summary.iter_rows(named=True)
    ]
    broken = stock.files.filter(pl.col("reason").is_not_null()).select(NAME.alias("file"), "detail")
    return DryRun(collections, len(stock.files), len(lacking), list(broken.iter_rows()), str(known) if known else None)
