"""Commands that put the flows on a Prefect server, and run them there."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from flows.cli.options import json_option, lake_option
from flows.cli.output import show
from flows.cli.running import errors
from infra.lake import Lake


@click.command()
@lake_option
@json_option
def deploy(lake: Lake, as_json: bool) -> None:
    """Put all flows on the Prefect server that stays."""
    with errors():
        from infra.services.deployment import deploy as put

        deployed = put(lake)
    show(asdict(deployed), deployed.lines(), as_json)


@click.command()
@lake_option
def worker(lake: Lake) -> None:
    """Run the flows that are started on that server."""
    with errors():
        from infra.services.deployment import client_environment, worker_command

        environment, command = client_environment(lake), worker_command()
    # Its output is what one watches it by.
    environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"
    os.execvpe(command[0], command, environment)
