"""The command that reviews the refused files of a dataset version."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import json_option, lake_option, settings_option
from flows.cli.output import show
from flows.cli.running import errors
from infra.lake import Lake
from infra.wording import counted

if TYPE_CHECKING:
    import polars as pl

    from flows.ingestion.queries import Redecision
    from tokenization.dataset import DatasetVersion

SHOWN = 5


@click.command()
@click.argument("reference", metavar="NAME[@DIGEST]")
@click.option("--reason", help="Only files that were refused for this reason.")
@click.option(
    "--limit", type=click.IntRange(0), default=SHOWN, show_default=True, help="Files to show of each reason; may be 0."
)
@click.option("--export", "target", type=click.Path(path_type=Path), help="Copy the files to this new folder.")
@settings_option("Show what would change, without reading a file: limits.min_notes=8.")
@lake_option
@json_option
def quarantine(
    reference: str,
    reason: str | None,
    limit: int,
    target: Path | None,
    settings: dict[str, str],
    lake: Lake,
    as_json: bool,
) -> None:
    """List the files that a dataset version has refused, with what their bytes are."""
    with errors():
        from flows.ingestion import queries
        from infra.errors import UserError
        from tokenization.dataset import find_version

        version = find_version(lake, reference)
        if settings:
            if target is not None or reason is not None:
                raise UserError("--set decides on all files again; leave out --export and --reason")
            redecision = queries.redecide(version, settings)
            show(asdict(redecision), _changes(version, redecision, limit), as_json)
            return
        files = queries.quarantined(version, reason)
        if target is not None:
            _export(version, files, lake, target, as_json)
            return
        shown = _with_bytes(version, queries.first_of_each_reason(files, limit), lake)
    counts = dict(files.group_by("reason", maintain_order=True).len().iter_rows())
    report = {"version": f"{version.name}@{version.digest}", "reasons": counts, "files": shown}
    show(report, _lines(version, reason, counts, shown), as_json)


def _export(version: DatasetVersion, files: pl.DataFrame, lake: Lake, target: Path, as_json: bool) -> None:
    from flows.export import export_quarantined
    from flows.progress import stage

    with stage(f"collecting from {version}") as bar:
        done = export_quarantined(version, files, lake, target.expanduser().absolute(), bar.step)
    missing = len(files) - done.rows
    lines = [f"{done.folder}: {counted(done.rows, 'file')}, {done.bytes / 1e6:,.1f} MB, listed in index.csv"]
    lines += [f"{counted(missing, 'file')} could not be copied; index.csv says why"] if missing else []
    show({"folder": str(done.folder), "copied": done.rows, "missing": missing}, lines, as_json)


def _with_bytes(version: DatasetVersion, files: pl.DataFrame, lake: Lake) -> list[dict[str, Any]]:
    """Return the files as dictionaries, with the story of their bytes, or the reason there are none."""
    from flows.ingestion.queries.byte_story import NEEDS, story_of
    from flows.ingestion.queries.originals import read_originals
    from tokenization.dataset.manifest import Reason

    columns = ("collection", "path", "sha256", "size", "licence", "reason", "detail")
    shown = []
    for row, (data, _) in zip(files.select(columns).to_dicts(), read_originals(version, files, lake), strict=True):
        found = asdict(story_of(data)) if isinstance(data, bytes) else {"missing": data.detail}
        shown.append({**row, "bytes": found, "needs": NEEDS[Reason(row["reason"])]})
    return shown


def _lines(
    version: DatasetVersion, reason: str | None, counts: dict[str, int], shown: list[dict[str, Any]]
) -> list[str]:
    if not counts:
        return [f"{version}: no file is quarantined{' for that reason' if reason else ''}"]
    lines = [f"{version}: {counted(sum(counts.values()), 'file')} quarantined"]
    lines += [f"  {count:>8,}  {reason}" for reason, count in counts.items()]
    before = None
    for row in shown:
        if row["reason"] != before:
            before = row["reason"]
            lines += ["", f"{before}: what would let them in is {row['needs']}"]
        lines.append(f"  {row['collection']}/{row['path']}  {counted(row['size'], 'byte')}")
        lines.append(f"    {row['detail']}")
        found = row["bytes"]
        if "missing" in found:
            lines.append(f"    cannot be read again: {found['missing']}")
        else:
            lines += [f"    {found['head']}"] if found["head"] else []
            lines += [f"    {line}" for line in found["structure"]]
    rest = sum(counts.values()) - len(shown)
    return [*lines, "", f"{counted(rest, 'more file')} (--reason, --limit)"] if rest and shown else lines


def _changes(version: DatasetVersion, redecision: Redecision, limit: int) -> list[str]:
    lines = [f"{version}: the outcome of {counted(len(redecision.files), 'file')} would change"]
    lines += [f"  {count:>8,}  {change}" for change, count in redecision.counts.items()]
    lines += [f"    {row['file']}: {row['before']} → {row['after']}" for row in redecision.files[:limit]]
    rest = len(redecision.files) - limit
    return [*lines, f"    … and {rest:,} more (--limit)"] if rest > 0 and limit else lines
