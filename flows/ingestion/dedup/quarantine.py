"""Quarantine: the limits on a piece, and the reason for each file that does not become one."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.licences import LicencePolicy, allowed
from tokenization.dataset.manifest import Reason
from tokenization.midi.score import Repair


class Limits(BaseModel):
    """Limits on a piece; a file beyond one of them is quarantined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_notes: int = Field(16, ge=1)
    max_notes: int = Field(200_000, ge=1)
    max_seconds: float = Field(3600.0, gt=0)
    max_notes_per_second: float = Field(200.0, gt=0)
    """On average over the piece."""
    refused_repairs: tuple[Repair, ...] = ()
    """Repairs by the reader after which a file is not trusted."""


def quarantine_licences(files: pl.DataFrame, policy: LicencePolicy) -> pl.DataFrame:
    """Set `reason` and `detail` of an inventory's files whose licence the policy does not allow.

    They are not even read. Files that cannot be read keep that reason.
    """
    if policy.allow is None:
        return files
    refused = [licence for licence, good in allowed(files["licence"].unique(), policy.allow).items() if not good]
    applies = pl.col("licence").is_in(refused) & pl.col("reason").is_null()
    detail = pl.format("its licence is {}; allowed are: {}", "licence", pl.lit(", ".join(policy.allow) or "none"))
    return files.with_columns(
        pl.when(applies).then(pl.lit(str(Reason.LICENCE))).otherwise("reason").alias("reason"),
        pl.when(applies).then(detail).otherwise("detail").alias("detail"),
    )


def quarantine(files: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Set `reason` and `detail` of the files to be quarantined; both stay null for the others.

    `files`: an inventory's files joined with the store's facts, whose own detail is the column `detail_parsed`. The
    first reason found counts: unreadable, refused by the reader, then the limits in the order of `_rules`.
    """
    table = files.with_columns(
        pl.coalesce("reason", "refusal").alias("reason"), pl.coalesce("detail", "detail_parsed").alias("detail")
    )
    rules = _rules(limits)
    exceeds = pl.any_horizontal(exceeded.fill_null(False) for exceeded, *_ in rules)
    refused = table.select((pl.col("reason").is_null() & exceeds).arg_true()).to_series()
    reason, detail = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for exceeded, rule_reason, rule_detail in reversed(rules):
        reason = pl.when(exceeded).then(pl.lit(str(rule_reason))).otherwise(reason)
        detail = pl.when(exceeded).then(rule_detail).otherwise(detail)
    found = table[refused].select(reason.alias("reason"), detail.alias("detail"))  # for these few alone
    return table.with_columns(table[name].scatter(refused, found[name]) for name in ("reason", "detail"))


def _rules(limits: Limits) -> list[tuple[pl.Expr, Reason, pl.Expr]]:
    """Return (condition, reason, detail) of each limit."""
    density = pl.col("notes") / pl.max_horizontal("seconds", pl.lit(1.0))
    count = pl.when(pl.col("notes") == 1).then(pl.lit("1 note")).otherwise(pl.format("{} notes", "notes"))
    refused = pl.col("repairs").list.set_intersection([str(repair) for repair in limits.refused_repairs])
    return [
        (
            refused.list.len() > 0,
            Reason.REPAIRED,
            pl.format("had to be mended: {}", refused.list.sort().list.join(", ")),
        ),
        (
            pl.col("notes") < limits.min_notes,
            Reason.TOO_SHORT,
            pl.format("{}; the least is {}", count, pl.lit(limits.min_notes)),
        ),
        (
            pl.col("notes") > limits.max_notes,
            Reason.TOO_LONG,
            pl.format("{}; the limit is {}", count, pl.lit(limits.max_notes)),
        ),
        (
            pl.col("seconds") > limits.max_seconds,
            Reason.TOO_LONG,
            pl.format("{} s; the limit is {}", pl.col("seconds").round(1), pl.lit(f"{limits.max_seconds:g}")),
        ),
        (
            density > limits.max_notes_per_second,
            Reason.TOO_DENSE,
            pl.format("{} notes/s; the limit is {}", density.round(1), pl.lit(f"{limits.max_notes_per_second:g}")),
        ),
    ]
