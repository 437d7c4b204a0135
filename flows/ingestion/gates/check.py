"""The check of a version to come, or of one that exists, against the rules for publishing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from flows.ingestion.gates.rules import REASON_RULE, Gates
from flows.ingestion.gates.text import describe_broken
from flows.ingestion.licences import allowed
from infra.errors import RunError
from infra.wording import counted
from tokenization.dataset.description import Description, GateResult
from tokenization.dataset.manifest import ACCEPTED, Status, licence_counts

Unit = Literal["pieces", "files", "hours", "share"]


class GateError(RunError):
    """A version that breaks rules for publishing; the message names each of them."""

    def __init__(self, name: str, results: Sequence[GateResult]) -> None:
        broken = [result for result in results if result.outcome == "broken"]
        rules = f"{len(broken)} rules are broken" if len(broken) > 1 else "a rule is broken"
        listed = "; ".join(map(describe_broken, broken))
        override = " ".join(f"--accept {result.rule}" for result in broken)
        super().__init__(
            f"{name} is not published, {rules}: {listed}; mend the collections or the rules, or publish with {override}"
        )
        self.results = list(results)
        """Of all rules, the others included."""


@dataclass(frozen=True)
class Finding:
    """The value that a rule is about."""

    rule: str
    value: float
    limit: float
    unit: Unit
    detail: str = ""

    @property
    def broken(self) -> bool:
        """True if the value is beyond the limit: below that of a `min_` rule, above any other."""
        return self.value < self.limit if self.rule.startswith("min_") else self.value > self.limit


def check_gates(
    name: str, manifest: pl.DataFrame, gates: Gates, before: Description | None, accept: Collection[str]
) -> list[GateResult]:
    """Check every rule that is set; raise GateError if one is broken that is not in `accept`.

    `name` is that of the dataset for the message. `before`: the version to compare with. A rule without a limit, or
    without a version to compare with, has no result.
    """
    results = [
        GateResult(
            rule=each.rule,
            value=each.value,
            limit=each.limit,
            unit=each.unit,
            outcome="passed" if not each.broken else "accepted" if _is_in(each.rule, accept) else "broken",
            detail=each.detail,
        )
        for each in _findings(manifest, gates, before)
    ]
    if any(result.outcome == "broken" for result in results):
        raise GateError(name, results)
    return results


def _is_in(rule: str, accept: Collection[str]) -> bool:
    return rule in accept or (rule.startswith(f"{REASON_RULE}.") and REASON_RULE in accept)


def _findings(manifest: pl.DataFrame, gates: Gates, before: Description | None) -> Iterator[Finding]:
    accepted = manifest.filter(ACCEPTED)
    files, pieces = len(manifest), len(accepted)
    hours = float(accepted["seconds"].sum()) / 3600
    yield Finding("min_pieces", pieces, gates.min_pieces, "pieces", _most_frequent_refusals(manifest))
    if gates.min_hours:
        yield Finding("min_hours", hours, gates.min_hours, "hours")
    if gates.min_accepted_share:
        of_files = f"{pieces:,} of {counted(files, 'file')}"
        yield Finding("min_accepted_share", _share(pieces, files), gates.min_accepted_share, "share", of_files)
    for reason, limit in gates.max_reason_share.items():
        count = int((manifest["reason"] == str(reason)).sum())
        of_files = f"{count:,} of {counted(files, 'file')}"
        yield Finding(f"{REASON_RULE}.{reason}", _share(count, files), limit, "share", of_files)
    yield from _family_findings(manifest, gates)
    if gates.max_style_share is not None and pieces:
        style, count = accepted["style"].fill_null("(none)").value_counts(sort=True).sort("count", "style").row(-1)
        yield Finding("max_style_share", _share(count, pieces), gates.max_style_share, "share", f"{style}, {count:,}")
    if gates.licences is not None:
        counts = licence_counts(manifest)
        others = [name for name, good in allowed(counts, gates.licences).items() if not good]
        detail = ", ".join(f"{name} {counts[name]:,}" for name in others)
        yield Finding("licences", sum(counts[name] for name in others), 0, "pieces", detail)
    if before is not None:
        pieces_before = sum(before.pieces.values())
        drops = (
            ("pieces", pieces_before, pieces, gates.max_pieces_drop),
            ("hours", before.hours, hours, gates.max_hours_drop),
        )
        for what, earlier, now, limit in drops:
            if earlier:
                detail = f"{earlier:,.5g} → {now:,.5g} {what} since {before.reference}"
                yield Finding(f"max_{what}_drop", max(0.0, 1 - now / earlier), limit, "share", detail)


def _family_findings(manifest: pl.DataFrame, gates: Gates) -> Iterator[Finding]:
    members = manifest.drop_nulls("family")
    if members.is_empty():
        return
    sizes = members["family"].value_counts()
    is_largest = pl.col("count") == pl.col("count").max()
    family, largest = sizes.filter(is_largest).max().row(0)
    best = members.filter(pl.col("sha256") == family).select("collection", "path").row(0)
    detail = f"{counted(largest, 'file')} like {'/'.join(best)}"
    if gates.max_family_files is not None:
        yield Finding("max_family_files", largest, gates.max_family_files, "files", detail)
    if gates.max_family_share is not None:
        yield Finding("max_family_share", _share(largest, len(members)), gates.max_family_share, "share", detail)


def _most_frequent_refusals(manifest: pl.DataFrame) -> str:
    """Return the three most frequent reasons with their counts: `refused: not_midi 12, truncated 3`."""
    refused = manifest.filter(status=str(Status.QUARANTINED))
    counts = refused["reason"].value_counts().sort("count", "reason", descending=[True, False]).head(3)
    listed = ", ".join(f"{reason} {count:,}" for reason, count in counts.iter_rows())
    return f"refused: {listed}" if listed else ""


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
