"""The command that brings a lake up to the installed releases."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict

import click

from flows.cli.options import json_option, lake_option
from flows.cli.output import show
from flows.cli.running import FAILED, errors
from infra.lake import Lake


@click.command()
@click.option("--check", is_flag=True, help="Only say what would be done.")
@lake_option
@json_option
def upgrade(check: bool, lake: Lake, as_json: bool) -> None:
    """Migrate the databases of the lake to the installed MLflow and Prefect; nothing else may use it.

    Lists what of its files earlier releases have written, and what has to be made again. Exit status 1 if anything has.
    """
    with errors():
        from flows.progress import stage
        from flows.upgrade.upgrade import examine, upgrade_lake
        from infra.services import library_environment

        os.environ.update(library_environment(lake))  # for MLflow's own command
        found = examine(lake)
        if not check and any(each.is_outdated for each in found.databases):
            with stage("upgrading") as bar:
                found = upgrade_lake(lake, bar.step)
    show(asdict(found), found.lines(), as_json)
    sys.exit(FAILED if found.needs_work else 0)
