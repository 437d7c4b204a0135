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
@click.option(
    "--chain/--no-chain",
    default=None,
    help="Switch on or off that a new dataset version is trained on, and so on to a champion.  [default: as it is; off "
    "at first]",
)
@lake_option
@json_option
def deploy(chain: bool | None, lake: Lake, as_json: bool) -> None:
    """Put all flows on the Prefect server that stays, with the automations that start one after the other."""
    with errors():
        from infra.services import library_environment

        os.environ.update(library_environment(lake))  # the parameters of registration import MLflow
        from flows.chain.settings import chain_settings
        from infra.services.deployment import deploy as put

        deployed = put(lake, chain_settings(lake).automations, chain)
    show(asdict(deployed), deployed.lines(), as_json)


@click.command()
@click.option(
    "--health-port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Answer at http://127.0.0.1:PORT/health whether it still asks for work, for health checks.",
)
@lake_option
def worker(lake: Lake, health_port: int | None) -> None:
    """Run the flows that are started on that server."""
    with errors():
        from infra.services.deployment import client_environment, worker_command

        environment = client_environment(lake)
        command, variables = worker_command(health_port)
    # Its output is what one watches it by.
    environment |= {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO", **variables}
    os.execvpe(command[0], command, environment)
