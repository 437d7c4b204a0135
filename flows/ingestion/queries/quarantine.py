"""Quarantine: the refused files of a version by reason, and what other limits would make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from flows.ingestion.dedup import Limits
from flows.ingestion.dedup.quarantine import quarantine, quarantine_licences
from flows.ingestion.licences import LicencePolicy
from infra.errors import unknown_name
from infra.settings import apply
from tokenization.dataset.manifest import NAME, QUARANTINE_REASONS, Reason, Status
from tokenization.dataset.version import DatasetVersion

BY_STORAGE = [str(each) for each in (Reason.UNREADABLE_FILE, Reason.UNREADABLE_ARCHIVE, Reason.TOO_LARGE)]
"""Reasons for which there are no bytes."""
BY_LIMITS = [str(each) for each in (Reason.TOO_SHORT, Reason.TOO_LONG, Reason.TOO_DENSE, Reason.REPAIRED)]
"""Reasons that follow from the limits and from what the manifest has of a file."""
GOOD = "not quarantined"
UNREAD = "to be read"


class Decisions(BaseModel):
    """The settings that quarantine a file without regard to its bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: Limits = Limits()
    licences: LicencePolicy = LicencePolicy()


@dataclass(frozen=True)
class Redecision:
    """What would become of a version's files under other settings."""

    counts: dict[str, int]
    """Files that change, by `BEFORE → AFTER`."""
    files: list[dict[str, str]]
    """`file`, `before` and `after` of each that changes."""


def quarantined(version: DatasetVersion, reason: str | None = None) -> pl.DataFrame:
    """Return the refused files of a version, all or those of one reason: rows of the manifest, by reason and name.

    Raises UserError for a reason that no file is quarantined for.
    """
    if reason is not None and reason not in QUARANTINE_REASONS:
        raise unknown_name("reason", reason, QUARANTINE_REASONS)
    files = version.manifest.filter(status=str(Status.QUARANTINED))
    chosen = files if reason is None else files.filter(reason=reason)
    return chosen.sort(pl.len().over("reason"), "reason", "collection", "path", descending=[True, False, False, False])


def first_of_each_reason(files: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Return the first `limit` files of each reason."""
    return files.filter(pl.int_range(pl.len()).over("reason") < limit)


def redecide(version: DatasetVersion, changes: Mapping[str, Any]) -> Redecision:
    """Decide again on every file of a version, under changed `limits` and `licences`, from what its manifest has.

    No file is read. One that a licence kept from being read is `to be read` where the licence would be allowed. Which
    files are duplicates is not decided again. Raises UserError for a setting that does not exist.
    """
    settings = version.description.settings
    given = {name: settings[name] for name in Decisions.model_fields if name in settings}
    decisions = apply(Decisions, given, changes)
    manifest = version.manifest.with_columns(pl.coalesce("reason", pl.lit(GOOD)).alias("before"))
    quarantined, by_storage = pl.col("status") == Status.QUARANTINED, pl.col("reason").is_in(BY_STORAGE)
    by_reader = quarantined & ~by_storage & ~pl.col("reason").is_in([*BY_LIMITS, str(Reason.LICENCE)])
    cleared = manifest.with_columns(
        pl.when(by_storage).then("reason").alias("reason"),
        pl.when(by_reader).then("reason").alias("refusal"),
        pl.when(by_reader).then("detail").alias("detail_parsed"),
    )
    decided = quarantine(quarantine_licences(cleared, decisions.licences), decisions.limits)
    unread = decided["reason"].is_null() & (decided["before"] == str(Reason.LICENCE))
    after = decided.with_columns(
        pl.when(~quarantined).then(pl.lit(GOOD)).otherwise("before").alias("before"),
        pl.when(unread).then(pl.lit(UNREAD)).otherwise(pl.col("reason").fill_null(GOOD)).alias("after"),
    )
    changed = after.filter(pl.col("before") != pl.col("after")).select(NAME.alias("file"), "before", "after")
    counts = changed.group_by("before", "after").len().sort("len", "before", "after", descending=[True, False, False])
    return Redecision(
        {f"{before} → {now}": count for before, now, count in counts.iter_rows()}, changed.sort("file").to_dicts()
    )
