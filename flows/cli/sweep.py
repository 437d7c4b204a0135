"""The command `sweep`: training runs with settings that are searched."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import show
from flows.cli.running import errors, running
from infra.lake import Lake


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.toml")
@click.option("--trials", type=click.IntRange(1), help="Training runs in all.  [default: the file's, or 20]")
@lake_option
@registry_option
@json_option
def sweep(file: Path, trials: int | None, lake: Lake, as_json: bool) -> None:
    """Search settings of training with Optuna; a sweep that was interrupted goes on."""
    with errors():
        from flows.sweeps.sweep_file import read_sweep_file

        content = read_sweep_file(file)
    with running(lake, "flows.sweeps.flow"):
        from flows.sweeps.flow import sweep as sweep_flow
        from flows.sweeps.parameters import SweepParameters

        chosen = content if trials is None else content.model_copy(update={"trials": trials})
        report = sweep_flow(SweepParameters(file=chosen, lake=lake.address))
    show(asdict(report), report.lines(), as_json)
