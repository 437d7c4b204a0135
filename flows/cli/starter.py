"""The command that makes the model which ships with musenet."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import json_option, lake_option, settings_option
from flows.cli.output import show
from flows.cli.running import running
from infra.lake import Lake


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("musenet-starter.tar"),
    show_default=True,
    help="File to export the model to.",
)
@settings_option("Change a training setting.")
@lake_option
@json_option
def starter(corpus: Path, out: Path, settings: dict[str, str], lake: Lake, as_json: bool) -> None:
    """Make the starter model from the free music in CORPUS: hours on two cores; run again, it goes on."""
    with running(lake, "flows.starter_model.flow"):
        from flows.starter_model.flow import make_starter
        from flows.starter_model.recipe import StarterParameters

        parameters = StarterParameters(corpus=str(corpus), out=str(out), settings=settings, lake=lake.address)
        report = make_starter(parameters)
    loss = "-" if report.nats_per_note is None else f"{report.nats_per_note:.2f} nats/note held out"
    show(asdict(report), [f"{report.file}: {report.bytes / 1e6:,.1f} MB, version {report.version}, {loss}"], as_json)
