"""The command `studio`: the page on which a model is heard."""

from __future__ import annotations

from typing import Any

import click

from flows.cli.output import browse
from flows.cli.running import running
from flows.cli.serve import announce, run_server, serving_options
from infra.lake import Lake


@click.command()
@serving_options
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@click.option(
    "--prepare",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Compose N samples of each style first, which the page plays at once; those that are there stay.",
)
def studio(model: str, lake: Lake, no_browser: bool, prepare: int | None, **options: Any) -> None:
    """Open the studio: hear a model, and compose with it.

    It is the page of `musenet serve`, which this command starts, with the same options. Nothing is fetched from
    elsewhere.
    """
    if prepare is not None:
        _prepare(model, lake, prepare)

    def started(address: str, version: str) -> None:
        announce(address, version)
        if not no_browser:
            browse(address)

    run_server(started, model=model, lake=lake, **options)


def _prepare(model: str, lake: Lake, count: int) -> None:
    with running(lake, "flows.studio.flow"):
        from flows.studio.flow import prepare_samples
        from flows.studio.parameters import PrepareParameters

        report = prepare_samples(PrepareParameters(count=count, model=model, lake=lake.address))
    ready = report.rows - len(report.failed)
    click.echo(f"samples: {ready} are ready, {report.composed} of them new, in {report.folder}")
