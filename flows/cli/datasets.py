"""Commands on dataset versions: list, show, compare, and trace their files and families."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import json_option, lake_option
from flows.cli.output import LISTED, show
from flows.cli.running import errors
from infra.lake import Lake
from infra.wording import counted

if TYPE_CHECKING:
    from flows.ingestion.queries import Difference


@click.group(invoke_without_command=True)
@lake_option
@json_option
@click.pass_context
def datasets(context: click.Context, lake: Lake, as_json: bool) -> None:
    """List, show or compare published dataset versions."""
    if context.invoked_subcommand:
        return
    with errors():
        from tokenization.dataset import dataset_versions

        versions = dataset_versions(lake)
    lines = [
        f"{v}  {v.description.created:%Y-%m-%d %H:%M:%S}  "
        f"{counted(sum(v.description.pieces.values()), 'piece')}, "
        f"{counted(sum(v.description.tokens.values()), 'token')}"
        for v in versions
    ]
    reports = [v.description.model_dump(mode="json") for v in versions]
    show(reports, lines or ["no dataset yet; `musenet ingest PATH --name NAME`"], as_json)


@datasets.command(name="show")
@click.argument("reference", metavar="NAME[@DIGEST]")
@lake_option
@json_option
def show_dataset(reference: str, lake: Lake, as_json: bool) -> None:
    """Describe a dataset version."""
    with errors():
        from flows.ingestion.card import markdown
        from tokenization.dataset import find_version

        version = find_version(lake, reference)
        lines = [markdown(version)]
    show({**version.description.model_dump(mode="json"), "folder": str(version.folder)}, lines, as_json)


@datasets.command()
@click.argument("before", metavar="NAME@DIGEST")
@click.argument("after", metavar="NAME[@DIGEST]")
@lake_option
@json_option
def diff(before: str, after: str, lake: Lake, as_json: bool) -> None:
    """List the differences between two dataset versions."""
    with errors():
        from flows.ingestion.queries import difference
        from tokenization.dataset import find_version

        first, second = find_version(lake, before), find_version(lake, after)
        changes = difference(first, second)
    show(asdict(changes), [f"{first} → {second}", *_difference_lines(changes)], as_json)


def _difference_lines(changes: Difference) -> list[str]:
    lines = [f"  {key}: {before} → {after}" for key, (before, after) in changes.settings.items()]
    for sign, word, files in (
        ("+", "added", changes.added),
        ("-", "removed", changes.removed),
        ("~", "changed", changes.changed),
    ):
        lines += [f"{counted(len(files), 'file')} {word}"] if files else []
        lines += [f"  {sign} {file}" for file in files[:LISTED]] + _more(files)
    for word, rows in (("outcome", changes.outcomes), ("split", changes.splits), ("style", changes.styles)):
        lines += [f"{counted(len(rows), word)} changed"] if rows else []
        lines += [f"    {row['file']}: {row['before']} → {row['after']}" for row in rows[:LISTED]] + _more(rows)
    return lines or ["  no difference"]


def _more(rows: list[Any]) -> list[str]:
    return [f"    … and {len(rows) - LISTED:,} more (--json has all)"] if len(rows) > LISTED else []


@click.command()
@click.argument("path")
@click.option("--dataset", help="NAME or NAME@DIGEST.  [default: the newest version of every dataset]")
@lake_option
@json_option
def why(path: str, dataset: str | None, lake: Lake, as_json: bool) -> None:
    """Explain what became of a file. PATH may also be a path in a collection or a SHA-256."""
    with errors():
        from flows.ingestion.queries import outcomes_of
        from tokenization.dataset import dataset_versions, find_version

        newest = {version.name: version for version in dataset_versions(lake)}
        rows = outcomes_of([find_version(lake, dataset)] if dataset else list(newest.values()), path)
    lines = []
    for row in rows:
        reason = f" ({row['reason']}: {row['detail']})" if row["reason"] else ""
        lines.append(f"{row['version']}: {row['collection']}/{row['path']} is {row['status']}{reason}")
        facts = {
            "sha256": row["sha256"],
            "style": row["style"],
            "split": row["split"],
            "linked": _link(row),
            "music": None if row["notes"] is None else f"{counted(row['notes'], 'note')}, {row['seconds']:.0f} s",
            "mended": ", ".join(row["repairs"] or []) or None,
            "family": None if len(row["members"]) < 2 else _listed(row["members"]),
        }
        lines += [f"  {name:10} {value}" for name, value in facts.items() if value is not None]
    show(rows, lines, as_json)


def _link(row: dict[str, Any]) -> str | None:
    """Describe the link by which a file belongs to its family."""
    if row["linked_file"] is None:
        return None
    return f"{row['relation']} to {row['linked_file']}{_measures(row['similarity'], row['evidence'])}"


def _measures(similarity: float | None, evidence: float | None) -> str:
    if similarity is None or evidence is None:
        return ""
    return f", similarity {similarity:.2f}, evidence {evidence:.1f}"


def _listed(files: list[str]) -> str:
    more = f", … and {len(files) - LISTED:,} more" if len(files) > LISTED else ""
    return f"{counted(len(files), 'file')}: {', '.join(files[:LISTED])}{more}"


@click.command()
@click.argument("reference", metavar="NAME[@DIGEST]")
@click.option("--limit", type=click.IntRange(1), default=LISTED, show_default=True, help="Families to show.")
@click.option("--weak", is_flag=True, help="Show those that hang on the weakest links first.")
@lake_option
@json_option
def families(reference: str, limit: int, weak: bool, lake: Lake, as_json: bool) -> None:
    """Show families of files with music in common, and what links them."""
    with errors():
        from flows.ingestion.queries import families_of
        from tokenization.dataset import find_version

        found = families_of(find_version(lake, reference))
    if weak:
        linked = [family for family in found if family.weakest is not None]
        found = sorted(linked, key=lambda family: family.weakest or 0)
    count = sum(len(family.members) for family in found)
    lines = [f"{counted(len(found), 'family', 'families')} of several files, {counted(count, 'file')} besides the best"]
    for family in found[:limit]:
        lines.append(f"{family.best}")
        for member in family.members[:LISTED]:
            measures = _measures(member.similarity, member.evidence)
            link = f"{member.relation} to {member.linked}" if member.linked != family.best else member.relation
            lines.append(f"  {member.file}  ({member.outcome}; {link}{measures})")
        lines += [f"        … and {len(family.members) - LISTED:,} more"] if len(family.members) > LISTED else []
    show([asdict(family) for family in found], lines, as_json)
