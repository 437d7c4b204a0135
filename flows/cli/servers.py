"""Commands on the local Prefect and MLflow servers."""

from __future__ import annotations

import sys
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import browse, command_prefix, show
from flows.cli.running import FAILED, errors
from infra.lake import Lake

if TYPE_CHECKING:
    from infra.services import Service


@click.command()
@lake_option
@registry_option
@json_option
def up(lake: Lake, as_json: bool) -> None:
    """Start the Prefect and MLflow servers of the lake."""
    with errors():
        services = _start(lake)
    show_services(services, as_json, "started", "was running")
    if not as_json:
        _say_where_the_password_is(lake)


@click.command()
@lake_option
@registry_option
@json_option
def down(lake: Lake, as_json: bool) -> None:
    """Stop the servers."""
    with errors():
        from infra.services import down as stop

        services = stop(lake)
    show_services(services, as_json, "stopped", "was not running")


@click.command()
@lake_option
@registry_option
@json_option
def status(lake: Lake, as_json: bool) -> None:
    """Show which servers run, and where. Exit status 1 unless both do."""
    with errors():
        from infra.services import status as ask

        services = ask(lake)
    show_services(services, as_json, "", "")
    sys.exit(0 if all(service.running for service in services) else FAILED)


@click.command(name="open")
@click.argument("page", type=click.Choice(["prefect", "mlflow"]))
@lake_option
@registry_option
def open_page(page: str, lake: Lake) -> None:
    """Open a server's page in the browser, starting the servers if they do not run."""
    with errors():
        url = next(service.url for service in _start(lake) if service.name == page)
    click.echo(f"{page}: {url}   (stop both servers with `{command_prefix()} down`)")
    if page == "prefect":
        _say_where_the_password_is(lake)
    browse(str(url))


def _say_where_the_password_is(lake: Lake) -> None:
    from infra.services import password_file

    click.echo(f"prefect's page asks for the password in {password_file(lake)}")


def _start(lake: Lake) -> list[Service]:
    """Start the servers that do not run; that of MLflow shows the files of this lake, which may have been moved."""
    from flows.recovery.dead_runs import report_dead
    from infra.services import up as start
    from infra.services.password import read_password
    from registry.relocation import relocate
    from registry.schema import require_schema

    require_schema(lake)
    relocate(lake)
    services = start(lake)
    for service in services:
        if service.name == "prefect":
            report_dead(lake, f"{service.url}/api", read_password(lake))
    return services


def show_services(services: list[Service], as_json: bool, changed: str, unchanged: str) -> None:
    """Print the state of the servers; `changed` and `unchanged` annotate it."""
    lines = []
    for service in services:
        place = f"runs at {service.url}" if service.running else "does not run"
        note = changed if service.changed else unchanged
        lines.append(f"{service.name:8} {place}" + (f"  ({note})" if note else ""))
    show([asdict(service) for service in services if is_dataclass(service)], lines, as_json)
