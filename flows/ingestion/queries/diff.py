"""Differences between two dataset versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from infra.settings import flatten
from tokenization.dataset import DatasetVersion, Description
from tokenization.dataset.manifest import FILE, NAME, OUTCOME


@dataclass(frozen=True)
class Difference:
    """The changes from one version to another; files as `collection/path`."""

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
    """Compare two versions, file by file and setting by setting."""
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
