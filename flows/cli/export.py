"""The command that writes a dataset version for other software."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import json_option, lake_option
from flows.cli.output import show
from flows.cli.running import errors
from infra.lake import Lake


@click.command()
@click.argument("reference", metavar="NAME[@DIGEST]")
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["parquet", "midi"]),
    default="parquet",
    show_default=True,
    help="A Hugging Face-style dataset, or MIDI files with an index.",
)
@lake_option
@json_option
def export(reference: str, target: Path, form: str, lake: Lake, as_json: bool) -> None:
    """Write a dataset version as files that are usable without musenet."""
    with errors():
        from flows.export import export_midi, export_parquet
        from flows.progress import stage
        from tokenization.dataset import find_version

        version = find_version(lake, reference).local(lake)
        write = export_parquet if form == "parquet" else export_midi
        with stage(f"exporting {version}") as bar:
            done = write(version, target.expanduser().absolute(), bar.step)
    report = {
        "version": f"{version.name}@{version.digest}",
        "folder": str(done.folder),
        "files": done.files,
        "rows": done.rows,
        "bytes": done.bytes,
    }
    what = "rows" if form == "parquet" else "pieces"
    show(report, [f"{done.folder}: {done.rows:,} {what}, {done.files:,} files, {done.bytes / 1e6:,.1f} MB"], as_json)
