"""A dataset version in Markdown: for Prefect's artifact and for the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.ingestion.card.tables import (
    Cell,
    Table,
    collections_table,
    counts_table,
    family_sizes,
    gates_table,
    outcomes_table,
    shown,
    splits_table,
    styles_table,
)
from infra.wording import counted

if TYPE_CHECKING:
    from tokenization.dataset import DatasetVersion
    from tokenization.dataset.description import GateResult

MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=:)//|(?<=www)\.")
"""Characters that Markdown interprets within a line; an underscore between letters is not one."""


def markdown(version: DatasetVersion) -> str:
    """Render the contents of a version and the outcome of every file as Markdown."""
    about = version.description
    manifest = version.manifest
    parts = [
        f"# Dataset {escaped(version.name)}",
        f"{counted(sum(about.pieces.values()), 'piece')}, {about.hours:,.1f} hours, {counted(about.notes, 'note')}, "
        f"{counted(sum(about.tokens.values()), 'token')} of the `{about.encoding.name}` encoding in "
        f"{about.encoding.time} over the `{about.vocabulary.name}` vocabulary. "
        f"Licences: {', '.join(f'{escaped(name)} ({pieces:,})' for name, pieces in version.licences.items())}.",
        f"Digest `{version.digest}`, folder `{shown(str(version.folder))}`; `card.html` there has the details.",
        "## The outcome of every file",
        _table(outcomes_table(manifest)),
        family_sizes(manifest).text,
        "## Collections",
        _table(collections_table(manifest)),
        "## Splits",
        _table(splits_table(manifest, about)),
        "## Styles",
        _table(styles_table(manifest, list(about.pieces))),
    ]
    if about.gates:
        parts += ["## Rules for publishing", _table(gates_table(about.gates))]
    if about.repairs:
        parts += ["## Repaired files", _table(counts_table("repair", "files", about.repairs))]
    return "\n\n".join(parts) + "\n"


def gates_markdown(name: str, results: Sequence[GateResult]) -> str:
    """Render the rules that a version was refused by, with those that it keeps, as Markdown."""
    broken = sum(result.outcome == "broken" for result in results)
    rules = f"{broken:,} of {counted(len(results), 'rule')} for publishing"
    head = f"# Dataset {escaped(name)}\n\nNot published: {rules} broken."
    return f"{head}\n\n{_table(gates_table(results))}\n"


def escaped(text: str) -> str:
    """Escape a text so that Markdown shows it literally in a line or cell: no mark-up, HTML or link."""
    return MARKUP.sub(r"\\\g<0>", shown(text)).replace("&", "&amp;").replace("<", "&lt;")


def _table(table: Table) -> str:
    rule = ["---:" if table.numeric(column) else "---" for column in range(len(table.headings))]
    lines = [table.headings, tuple(rule), *(_cells(table, line) for line in table.lines)]
    if table.total is not None:
        lines.append(tuple(f"**{cell}**" if cell else "" for cell in _cells(table, table.total)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(table: Table, line: tuple[Cell, ...]) -> tuple[str, ...]:
    texts = table.texts(line)
    return tuple(escaped(text) if isinstance(cell, str) else text for cell, text in zip(line, texts))
