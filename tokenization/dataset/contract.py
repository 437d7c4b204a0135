"""The contract of the manifest: columns, types, closed lists, and what must hold between the columns.

It is a pandera schema, made from `manifest.COLUMNS` and RULES. Publishing checks it, so that whoever reads a manifest
may rely on it. Pandera is imported by the check alone, as where only polars is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from infra.errors import RunError
from infra.imports import without
from tokenization.dataset.manifest import ACCEPTED, COLUMNS, FILE, QUARANTINE_REASONS, SCHEMA, Column, Reason, Status

if TYPE_CHECKING:
    from pandera.errors import SchemaError
    from pandera.polars import DataFrameSchema

DUPLICATE = pl.col("status") == Status.DUPLICATE
QUARANTINED = pl.col("status") == Status.QUARANTINED
FACTS = ("notes", "seconds", "tempo", "programs", "drums", "repairs")
"""The columns that only a file that was read has."""
DUPLICATE_REASONS = [str(reason) for reason in Reason if reason not in QUARANTINE_REASONS]

NEVER_NULL = "never null"


class ManifestError(RunError):
    """A manifest that breaks its contract."""


@dataclass(frozen=True)
class Rule:
    """A relation between columns that holds in every row."""

    column: str
    """The column that it is about."""
    text: str
    """The rule, in Markdown."""
    holds: pl.Expr
    """True for each row that keeps it."""


def _all_null(*columns: str) -> pl.Expr:
    return pl.all_horizontal(pl.col(columns).is_null())


def _all_set(*columns: str) -> pl.Expr:
    return pl.all_horizontal(pl.col(columns).is_not_null())


RULES = (
    Rule("path", "`collection` and `path` name one row", pl.struct(*FILE).is_unique()),
    Rule(
        "status",
        "an accepted file has `sha256`, `family` and `split`, and neither `reason` nor `kept`",
        ~ACCEPTED | (_all_set("sha256", "family", "split") & _all_null("reason", "kept")),
    ),
    Rule(
        "status",
        "a duplicate has `sha256`, `family`, `split`, `kept` and the `reason` of a duplicate",
        ~DUPLICATE | (_all_set("sha256", "family", "split", "kept") & pl.col("reason").is_in(DUPLICATE_REASONS)),
    ),
    Rule(
        "status",
        "a quarantined file has the `reason` of one, and none of `family`, `split` and `kept`",
        ~QUARANTINED
        | (_all_null("family", "split", "kept") & pl.col("reason").is_in([str(each) for each in QUARANTINE_REASONS])),
    ),
    Rule(
        "notes",
        "a file that is not quarantined has " + ", ".join(f"`{name}`" for name in FACTS),
        QUARANTINED | _all_set(*FACTS),
    ),
    Rule(
        "sha256",
        "no two accepted files have the same bytes",
        ~ACCEPTED | pl.struct("sha256", "status").is_first_distinct(),
    ),
    Rule(
        "kept",
        "`kept` is the `sha256` of an accepted file",
        pl.col("kept").is_null() | pl.col("kept").is_in(pl.col("sha256").filter(ACCEPTED).implode()),
    ),
    Rule(
        "family",
        "`family` is the `sha256` of a file in it",
        pl.col("family").is_null()
        | pl.col("family").is_in(pl.col("sha256").filter(pl.col("family") == pl.col("sha256")).implode()),
    ),
    Rule(
        "linked",
        "a linked file has a `relation`, and is linked within its `family`",
        pl.when(pl.col("linked").is_null())
        .then(pl.col("relation").is_null())
        .otherwise(
            pl.col("relation").is_not_null()
            & pl.concat_str("family", "linked").is_in(pl.concat_str("family", "sha256").drop_nulls().implode())
        ),
    ),
    Rule(
        "split",
        "all files of a family have one `split`",
        pl.col("family").is_null() | (pl.col("split").n_unique().over("family") == 1),
    ),
    Rule(
        "stated_licence",
        "`stated_licence` differs from `licence`",
        pl.col("stated_licence").is_null() | (pl.col("stated_licence") != pl.col("licence")),
    ),
)
"""All rules between columns."""


def check_manifest(manifest: pl.DataFrame) -> None:
    """Raise ManifestError if the manifest breaks its contract: column, rule, number of rows and the first file."""
    # Pandera supports both, does without them, and spends most of its import on them: a second of each ingestion
    with without("pandas", "hypothesis"):
        from pandera.errors import SchemaError

        try:
            manifest_schema().validate(manifest)
        except SchemaError as error:
            remedy = "this is a defect of the ingestion, report it"
            raise ManifestError(f"the manifest breaks its contract: {_finding(error, manifest)}; {remedy}") from None


def manifest_schema() -> DataFrameSchema:
    """Build the contract as a pandera schema."""
    import pandera.polars as pa

    def check(rule: Rule) -> Any:
        return pa.Check(lambda data: data.lazyframe.select(rule.holds), name=rule.text, error=rule.text)

    columns = {column.name: pa.Column(column.kind, _limits(column), nullable=column.nullable) for column in COLUMNS}
    return pa.DataFrameSchema(columns, checks=[check(rule) for rule in RULES], strict=True, ordered=True)


def _limits(column: Column) -> list[Any]:
    import pandera.polars as pa

    limits = []
    if column.values:
        limits.append(pa.Check.isin([*map(str, column.values)], error=f"one of {', '.join(column.values)}"))
    if column.pattern is not None:
        limits.append(pa.Check.str_matches(column.pattern, error=f"matches {column.pattern}"))
    if column.least is not None:
        limits.append(pa.Check.ge(column.least, error=f"at least {column.least:g}"))
    if column.most is not None:
        limits.append(pa.Check.le(column.most, error=f"at most {column.most:g}"))
    return limits


def _finding(error: SchemaError, manifest: pl.DataFrame) -> str:
    """Describe the first breach that pandera found."""
    check = error.check
    rule = next((rule for rule in RULES if rule.text == getattr(check, "name", None)), None)
    column = rule.column if rule is not None else error.column_name or getattr(error.schema, "name", None)
    text = NEVER_NULL if check == "not_nullable" else getattr(check, "error", None)
    rows = error.check_output
    if text is None or not isinstance(rows, pl.DataFrame):  # about the columns, not about rows
        return _columns_fault(manifest)
    broken = manifest.filter(~rows.to_series().fill_null(False))
    first = broken.select(pl.concat_str(pl.col(FILE).fill_null("(null)"), separator="/")).to_series()[0]
    return f"column {column}: {text}; broken in {len(broken):,} of {len(manifest):,} rows, first {first}"


def _columns_fault(manifest: pl.DataFrame) -> str:
    """Describe the first column that is missing, unknown, of another type or out of order."""
    found = manifest.schema
    for column in COLUMNS:
        if column.name not in found:
            return f"column {column.name} is missing"
        if found[column.name] != column.kind:
            return f"column {column.name} is of type {found[column.name]}; it must be {column.kind}"
    unknown = [name for name in found if name not in SCHEMA]
    return f"column {unknown[0]} is unknown" if unknown else f"the columns are out of order: {', '.join(found)}"
