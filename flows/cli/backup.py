"""The commands that back up a lake and restore it elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import click

from flows.backup.left_out import OnRequest
from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import show
from flows.cli.running import FAILED, errors
from infra.lake import Lake


@click.command()
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="DIR|FILE.tar",
    envvar="MUSENET_BACKUPS",
    help="A folder, which keeps several backups, or a new file.  [default: $MUSENET_BACKUPS]",
)
@click.option("--with", "included", type=click.Choice(get_args(OnRequest)), multiple=True, help="Include it, too.")
@click.option("--keep", type=click.IntRange(1), help="Newest backups that stay in the folder.  [default: all]")
@lake_option
@registry_option
@json_option
def backup(to: Path | None, included: tuple[OnRequest, ...], keep: int | None, lake: Lake, as_json: bool) -> None:
    """Back up the lake and its databases, while flows may run. Exit status 1 if files of the lake are damaged.

    A folder keeps the content of each file once: what has not changed since the last backup is not copied again.
    """
    with errors():
        from flows.backup.parameters import BackupParameters
        from flows.backup.report import lines_of
        from flows.backup.taking import back_up

        parameters = BackupParameters(
            to=to and to.expanduser().absolute(), included=included, keep=keep, lake=lake.address
        )
        report = back_up(parameters)
    show(report.model_dump(mode="json"), lines_of(report), as_json)
    sys.exit(FAILED if report.findings else 0)


@click.command()
@click.argument("backup", metavar="DIR|FILE.tar", type=click.Path(path_type=Path))
@click.option("--backup", "name", metavar="NAME", help="One of those in the folder.  [default: the newest]")
@click.option("--check", is_flag=True, help="Only compare all bytes with their digests; write nothing.")
@lake_option
@json_option
def restore(backup: Path, name: str | None, check: bool, lake: Lake, as_json: bool) -> None:
    """Restore a backup as a new lake, which --lake names; each byte is checked."""
    with errors():
        from flows.backup.report import restored_lines
        from flows.backup.restoring import check_backup, restore_backup
        from flows.progress import stage

        with stage("checking" if check else "restoring") as bar:
            report = check_backup(backup, name, bar.step) if check else restore_backup(backup, lake, name, bar.step)
    done = "checked" if check else f"restored to {lake.root}:"
    show(report.model_dump(mode="json"), restored_lines(report, done), as_json)
