"""The command that examines a set-up."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import show
from flows.cli.running import FAILED, errors
from infra.lake import Lake


@click.command()
@click.option(
    "--hostfile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Hosts to reach, as `train` takes them.",
)
@lake_option
@registry_option
@json_option
def doctor(hostfile: Path | None, lake: Lake, as_json: bool) -> None:
    """Check servers, databases, disk, devices, compiler and hosts, and say how to mend them. Exit status 1 if any is
    bad."""
    with errors():
        from flows.doctor.checks import examine

        findings = [*examine(lake, hostfile)]
    show([asdict(finding) for finding in findings], [finding.line() for finding in findings], as_json)
    sys.exit(FAILED if any(finding.state == "bad" for finding in findings) else 0)
