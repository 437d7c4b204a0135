"""The tables of docs/contracts.md are those of the code."""

from __future__ import annotations

import polars as pl
from code_blocks import ROOT

from flows.chain.events import EVENTS, Event
from tokenization.dataset.contract import RULES
from tokenization.dataset.manifest import COLUMNS, QUARANTINE_REASONS, Column, Reason

PAGE = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")


def table_below(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its own heading."""
    lines = PAGE.split(f"\n{heading}\n", 1)[1].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def kind_of(kind: pl.DataType) -> str:
    if isinstance(kind, pl.List):
        return f"list of {kind_of(kind.inner)}"
    return {"boolean": "bool"}.get(str(kind).lower(), str(kind).lower())


def values_of(column: Column) -> str:
    limits = [f"`{value}`" for value in column.values] if column.name != "reason" else ["[reasons](#reasons)"]
    limits += [f"`{column.pattern}`"] if column.pattern else []
    if column.least is not None:
        limits.append(f"≥ {column.least:g}" if column.most is None else f"{column.least:g}–{column.most:g}")
    return ", ".join(limits) + ("" if column.nullable else "; never null" if limits else "never null")


def test_the_columns_of_the_manifest() -> None:
    expected = [[f"`{column.name}`", kind_of(column.kind), values_of(column), column.content] for column in COLUMNS]
    assert table_below("### Manifest") == expected


def test_the_rules_between_the_columns() -> None:
    assert table_below("#### Rules") == [[f"`{rule.column}`", rule.text] for rule in RULES]


def test_the_reasons() -> None:
    rows = table_below("### Reasons")
    named: dict[str, list[str]] = {status: [] for status in ("quarantined", "duplicate")}
    status = ""
    for row in rows:
        status = row[0] or status
        named[status] += [word.strip("`") for word in row[1].split(", ")]
    assert sorted(named["quarantined"]) == sorted(QUARANTINE_REASONS)
    assert sorted(named["duplicate"]) == sorted({*Reason} - {*QUARANTINE_REASONS})


def test_the_events() -> None:
    expected = [
        (kind.event, [f"`{name}`" for name in kind.model_fields if name not in Event.model_fields]) for kind in EVENTS
    ]
    rows = table_below("## Events of the stages")
    assert [(name.strip("`"), fields.split(", ")) for name, _, fields in rows] == expected
