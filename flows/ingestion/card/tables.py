"""The card's tables: outcomes of the files, by collection, licence, style and split.

They are computed from the manifest, which has a row for every file found, so their totals account for all files.
Names of files, collections and styles are untrusted text: `shown` makes them printable, and they are escaped where
they enter a page or Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from flows.ingestion.gates import amount
from infra.wording import counted
from tokenization.dataset.description import Description, GateResult
from tokenization.dataset.manifest import ACCEPTED, Reason

Cell = str | int | float | None

LONGEST_TEXT = 120
MOST_ROWS = 100
"""Rows shown of a table that could have thousands; the others are summed in one."""
MOST_FAMILIES = 8
STRENGTH = pl.col("evidence") * pl.col("similarity")
"""The strength of a link."""
WEAK = 3.0
"""Strength below which a link is weak: worth a look."""
SUSPICIOUS = 0.1
"""Share of weak links from which the card advises to look at them."""
QUANTILES = ((0.0, "least"), (0.05, "5 %"), (0.5, "median"), (0.95, "95 %"), (1.0, "most"))


class Share(float):
    """A fraction, shown as a percentage."""


@dataclass(frozen=True)
class Table:
    """Lines of texts and numbers below headings; every line has one cell per heading."""

    headings: tuple[str, ...]
    lines: list[tuple[Cell, ...]]
    total: tuple[Cell, ...] | None = None
    """The sum of all lines, also of those that are not shown one by one."""

    def texts(self, line: Sequence[Cell]) -> list[str]:
        """Format the cells of a line."""
        return [cell_text(cell) for cell in line]

    def numeric(self, column: int) -> bool:
        """True if a column holds numbers, to be aligned right."""
        return all(isinstance(line[column], int | float | None) for line in self.lines)


def shown(text: str) -> str:
    """Make a text printable (control characters become `\\u0007`) and at most LONGEST_TEXT characters long."""
    visible = text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    half = LONGEST_TEXT // 2
    return visible if len(visible) <= LONGEST_TEXT else f"{visible[:half]}…{visible[-half:]}"


def cell_text(cell: Cell) -> str:
    """Format a cell."""
    match cell:
        case None:
            return ""
        case str():
            return shown(cell)
        case int():
            return f"{cell:,}"
        case Share():
            return f"{cell:.1%}"
    return f"{cell:,.2f}"


def outcomes_table(manifest: pl.DataFrame) -> Table:
    """Count the files by outcome, with an example of each that is not in the shards."""
    accepted, others = manifest.filter(ACCEPTED), manifest.filter(~ACCEPTED).sort("collection", "path")
    example = pl.col("path").first().alias("example"), pl.col("detail").first()
    found = others.group_by("status", "reason").agg(pl.len().alias("files"), *example)
    lines: list[tuple[Cell, ...]] = []
    if len(accepted):
        lines.append(("accepted", None, len(accepted), Share(len(accepted) / len(manifest)), None, None))
    for row in found.sort("status", "files", "reason", descending=[False, True, False]).to_dicts():
        share = Share(row["files"] / len(manifest))
        lines.append((row["status"], row["reason"], row["files"], share, row["example"], row["detail"]))
    total = ("all files found", None, len(manifest), None, None, None)
    return Table(("outcome", "reason", "files", "share", "example", "detail"), lines, total)


def _measures() -> list[pl.Expr]:
    """Return pieces, notes and hours of the accepted files of a group."""
    return [
        ACCEPTED.sum().alias("pieces"),
        pl.col("notes").filter(ACCEPTED).sum().alias("notes"),
        (pl.col("seconds").filter(ACCEPTED).sum() / 3600).alias("hours"),
    ]


def collections_table(manifest: pl.DataFrame) -> Table:
    """Tabulate outcomes and sizes by collection and licence."""
    others = [(pl.col("status") == status).sum().alias(heading) for status, heading in _NOT_ACCEPTED]
    frame = manifest.group_by("collection", "licence").agg(pl.len().alias("files"), *others, *_measures())
    return _summed(frame, ["collection", "licence"])


_NOT_ACCEPTED = (("duplicate", "duplicates"), ("quarantined", "quarantined"))


def licences_table(manifest: pl.DataFrame) -> Table:
    """Tabulate the sizes of the accepted pieces by licence, with the words in which the collections state it."""
    stated = pl.col("stated_licence").filter(ACCEPTED).drop_nulls().unique().sort().str.join(", ").alias("stated as")
    collections = pl.col("collection").n_unique().alias("collections")
    frame = manifest.group_by("licence").agg(stated, collections, *_measures())
    table = _summed(frame.filter(pl.col("pieces") > 0), ["licence"])
    assert table.total is not None
    different = manifest.filter(ACCEPTED)["collection"].n_unique()  # one may have files of several licences
    return Table(table.headings, table.lines, (table.total[0], None, different, *table.total[3:]))


def styles_table(manifest: pl.DataFrame, splits: Sequence[str]) -> Table:
    """Tabulate the sizes of the accepted pieces by style, with the pieces in each split."""
    in_split = [(pl.col("split") == split).sum().alias(split) for split in splits]
    frame = manifest.filter(ACCEPTED).with_columns(pl.col("style").fill_null("(none)"))
    return _summed(frame.group_by("style").agg(*_measures(), *in_split), ["style"])


def splits_table(manifest: pl.DataFrame, description: Description) -> Table:
    """Tabulate the contents of each split; rows and tokens are of the shards, with augmented copies."""
    unique = [pl.col(name).n_unique().alias(heading) for name, heading in (("family", "families"), ("style", "styles"))]
    frame = manifest.filter(ACCEPTED).group_by("split").agg(*_measures(), *unique)
    by_split = {row["split"]: row for row in frame.to_dicts()}
    headings = ("split", "pieces", "families", "styles", "hours", "notes", "rows", "tokens")
    lines: list[tuple[Cell, ...]] = []
    for split in description.pieces:
        of = by_split.get(split, {})
        measured = (of.get(name, 0) for name in headings[1:6])
        lines.append((split, *measured, description.variants[split], description.tokens[split]))
    return Table(headings, lines, _total(lines, frozenset({"styles"}), headings))


@dataclass(frozen=True)
class FamilySizes:
    """Families of more than one file, and their files."""

    families: int
    files: int
    largest: int
    links: int
    """Links by fingerprints, those of equal bytes and notes left out."""
    weak: int

    @property
    def text(self) -> str:
        """The counts in a sentence or two."""
        if not self.families:
            return "No two files have music in common."
        text = (
            f"Families of files with the same or related music: {self.families:,}, with {self.files:,} files, "
            f"{self.largest:,} in the largest."
        )
        if not self.weak:
            return text
        warning = " Look at them with `musenet families`." if self.weak > SUSPICIOUS * self.links else ""
        weak = f"{self.weak:,} {'is' if self.weak == 1 else 'are'} weak"
        return f"{text} Of {counted(self.links, 'link')} {weak} (evidence × similarity below {WEAK:g}).{warning}"


def family_sizes(manifest: pl.DataFrame) -> FamilySizes:
    """Count the families that have more than one file."""
    sizes = manifest.filter(pl.col("family").is_not_null()).group_by("family").len().filter(pl.col("len") > 1)["len"]
    strengths = link_strengths(manifest)
    weak = int((strengths < WEAK).sum())
    return FamilySizes(len(sizes), int(sizes.sum()), max(sizes.to_list(), default=0), len(strengths), weak)


def link_strengths(manifest: pl.DataFrame) -> pl.Series:
    """Return evidence × similarity of each link between a piece and another of its family."""
    is_first = pl.col("reason").is_null() | (pl.col("reason") == Reason.NEAR_DUPLICATE)
    return manifest.filter(is_first).select(STRENGTH).to_series().drop_nulls()


def families_table(manifest: pl.DataFrame) -> Table:
    """Tabulate the largest families: the preferred piece of each, and its weakest link."""
    members = manifest.filter(pl.col("family").is_not_null()).group_by("family")
    weakest = STRENGTH.min().alias("weakest")
    kept_pieces = ACCEPTED.sum().alias("pieces")
    large = members.agg(pl.len().alias("files"), kept_pieces, weakest).filter(pl.col("files") > 1)
    kept = manifest.filter(ACCEPTED).select("collection", "path", pl.col("sha256").alias("family"))
    frame = large.join(kept, "family").sort("files", "collection", "path", descending=[True, False, False])
    lines: list[tuple[Cell, ...]] = [
        (row["path"], row["collection"], row["files"], row["pieces"], row["weakest"])
        for row in frame.head(MOST_FAMILIES).to_dicts()
    ]
    return Table(("preferred file", "collection", "files", "kept", "weakest link"), lines)


def sizes_table(manifest: pl.DataFrame) -> Table:
    """Tabulate quantiles over the accepted pieces."""
    accepted = manifest.filter(ACCEPTED)
    columns = {
        "seconds": accepted["seconds"],
        "notes": accepted["notes"],
        "notes per second": accepted["notes"] / accepted["seconds"],
        "tempo (quarter notes a minute)": accepted["tempo"],
    }
    lines: list[tuple[Cell, ...]] = []
    for name, values in columns.items():
        found = [values.quantile(share, "nearest") for share, _ in QUANTILES]
        lines.append((name, *pl.Series(found).cast(values.dtype).to_list()))
    return Table(("of a piece", *(name for _, name in QUANTILES)), lines)


def counts_table(heading: str, counted: str, counts: dict[str, int]) -> Table:
    """Tabulate named counts, the largest first."""
    lines: list[tuple[Cell, ...]] = [*sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return Table((heading, counted), lines)


def ignored_table(ignored: dict[str, dict[str, int]]) -> Table:
    """Tabulate the files ignored by their suffix, which have no row in the manifest."""
    lines: list[tuple[Cell, ...]] = [
        (collection, suffix or "(none)", count)
        for collection, suffixes in sorted(ignored.items())
        for suffix, count in sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    ]
    rest = lines[MOST_ROWS:]
    total = ("all", None, sum(int(line[2] or 0) for line in lines))
    more = [(f"{len(rest):,} more", None, sum(int(line[2] or 0) for line in rest))] if rest else []
    return Table(("collection", "suffix", "files"), [*lines[:MOST_ROWS], *more], total)


def gates_table(results: Sequence[GateResult]) -> Table:
    """Tabulate the rules for publishing: the value of each, its limit, and the outcome."""
    lines: list[tuple[Cell, ...]] = [
        (each.rule, amount(each.value, each.unit), amount(each.limit, each.unit), each.outcome, each.detail)
        for each in results
    ]
    return Table(("rule", "value", "limit", "outcome", "finding"), lines)


def settings_table(settings: dict[str, Any]) -> Table:
    """Tabulate nested settings by dotted name."""
    lines: list[tuple[Cell, ...]] = []

    def walk(prefix: str, value: object) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                walk(f"{prefix}.{name}" if prefix else str(name), inner)
        else:
            lines.append((prefix, str(value)))

    walk("", settings)
    return Table(("setting", "value"), lines)


def _summed(frame: pl.DataFrame, names: Sequence[str]) -> Table:
    """Tabulate a frame by decreasing size, rows beyond MOST_ROWS as one, with the totals of its numbers."""
    frame = frame.sort("pieces", *names, descending=[True, *[False] * len(names)])
    lines: list[tuple[Cell, ...]] = list(frame.head(MOST_ROWS).iter_rows())
    headings = tuple(frame.columns)
    more = list(frame.slice(MOST_ROWS).iter_rows())
    total = _total([*lines, *more], frozenset(), headings)
    if more:
        lines.append((f"{len(more):,} more", *_total(more, frozenset(), headings)[1:]))
    return Table(headings, lines, total)


def _total(lines: Sequence[tuple[Cell, ...]], apart: frozenset[str], headings: Sequence[str]) -> tuple[Cell, ...]:
    """Sum the columns of numbers, except those (`apart`) whose sum is meaningless."""
    sums: list[Cell] = ["all"]
    for heading, column in list(zip(headings, zip(*lines)))[1:]:
        numbers = [cell for cell in column if isinstance(cell, int | float)]
        sums.append(sum(numbers) if len(numbers) == len(column) and heading not in apart else None)
    return tuple(sums) if lines else ("all", *[0] * (len(headings) - 1))
