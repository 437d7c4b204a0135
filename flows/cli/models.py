"""Commands on models: train, criticise, register, run the demo, and list runs and models."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from flows.cli.options import json_option, lake_option, registry_option, seed_option, settings_option
from flows.cli.output import command_prefix, show
from flows.cli.running import FAILED, errors, running
from infra.lake import Lake


@click.command()
@click.option("--dataset", help="NAME or NAME@DIGEST.")
@click.option(
    "--preset", help="sketch, tiny, starter, small, base or musenet.  [default: tiny; with --from that model's]"
)
@click.option(
    "--from",
    "parent",
    metavar="MODEL",
    help="Begin with a model's weights: an alias, version, run:ID, exported file or folder.",
)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Run file: these options as TOML.")
@settings_option("Change a setting: training.steps=400.")
@click.option("--ranks", type=click.IntRange(1), help="Data-parallel processes.  [default: 1, or the hostfile's slots]")
@click.option(
    "--hostfile", type=click.Path(path_type=Path), metavar="FILE", help="Hosts to train on, a line each: HOST slots=N."
)
@click.option(
    "--retries", type=click.IntRange(0), default=2, show_default=True, help="Further attempts after a failure."
)
@lake_option
@registry_option
@json_option
def train(
    config: Path | None,
    parent: str | None,
    settings: dict[str, str],
    hostfile: Path | None,
    retries: int,
    lake: Lake,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a model with DeepSpeed, or resume an interrupted training."""
    with errors():
        from flows.training.config_file import merge_choices

        line = {**choices, "hostfile": None if hostfile is None else str(hostfile.expanduser().absolute())}
        named = {} if parent is None else {"training.parent": parent}
        chosen = merge_choices(config, line, {**named, **settings})
    with running(lake, "flows.training.flow"):
        from flows.training.flow import TrainParameters
        from flows.training.flow import train as train_flow

        report = train_flow(TrainParameters(**chosen, retries=retries, lake=lake.address))
    held_out = "" if report.nats_per_note is None else f", {report.nats_per_note:.3f} nats/note held out"
    if report.nats_per_note_all is not None:
        held_out += f" ({report.nats_per_note_all:.3f} with pieces that the parent knows)"
    show(
        asdict(report),
        [f"run {report.run_id}: {report.extent()}{held_out}  {report.folder}"],
        as_json,
    )


@click.command()
@click.option("--run", default="latest", show_default=True, help="Id of a finished training run.")
@click.option("--model", help="Alias or version number of a registered model instead.")
@click.option(
    "--rounds", type=click.IntRange(1), default=1, show_default=True, help="Rounds of generation and training."
)
@settings_option("Change a setting: critic.trunk=frozen, train_pieces=256.")
@seed_option
@lake_option
@registry_option
@json_option
def critic(
    run: str, model: str | None, rounds: int, settings: dict[str, str], seed: int, lake: Lake, as_json: bool
) -> None:
    """Train the inner critic of a trained model."""
    with running(lake, "flows.criticism.flow"):
        from flows.criticism.flow import criticise
        from flows.criticism.parameters import CriticParameters

        given = {"run": run, "model": model, "rounds": rounds, "seed": seed, "lake": lake.address}
        report = criticise(CriticParameters.changed(given, settings))
    lines = [
        f"critic of run {report.run_id}: AUC {report.auc:.3f} on held-out pieces, calibration error "
        f"{report.calibration_error:.3f}  {report.folder}"
    ]
    if model is not None:
        lines.append(f"register it with the model: musenet register --run {report.run_id}")
    show(report.model_dump(), lines, as_json)


@click.command()
@click.option("--run", required=True, metavar="RUN", help="Id of a finished training run, `best` or `latest`.")
@click.option("--alias", default="candidate", show_default=True, help="Alias to set; `champion` asks the gate.")
@click.option("--force", is_flag=True, help="Make it champion whatever the gate says, which is recorded.")
@settings_option("Change how it is drawn from where a request says nothing: top_p=0.99, tonality=0.5.")
@lake_option
@registry_option
@json_option
def register(run: str, alias: str, force: bool, settings: dict[str, str], lake: Lake, as_json: bool) -> None:
    """Register a trained model and its critic as a version in MLflow."""
    with running(lake, "flows.registration.flow"):
        from flows.registration.flow import register as register_flow
        from flows.registration.registration import RegisterParameters

        parameters = RegisterParameters(run=run, alias=alias, force=force, drawing=settings, lake=lake.address)
        report = register_flow(parameters)
    show(asdict(report), [f"version {report.version}, alias {report.alias}, run {report.run_id}"], as_json)
    if report.refused is not None:
        click.echo(f"musenet: {report.refused}", err=True)
        sys.exit(FAILED)


@click.command()
@click.option(
    "--from",
    "model",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Exported model to begin with.  [default: the starter model]",
)
@settings_option("Change a training setting.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=40, show_default=True, help="Length of each piece.")
@seed_option
@lake_option
@registry_option
@json_option
def demo(model: Path | None, settings: dict[str, str], seconds: float, seed: int, lake: Lake, as_json: bool) -> None:
    """Run the whole pipeline in minutes: the starter model trained further, its critic, the registry, new pieces."""
    elsewhere = "" if lake == Lake.at() else f" --lake {lake.address}"

    def command(words: str) -> str:
        return f"{command_prefix()} {words}{elsewhere}"

    with running(lake, "flows.demo.flow"):
        from flows.demo.flow import DemoParameters
        from flows.demo.flow import demo as demo_flow

        given = {} if model is None else {"model": str(model.absolute())}
        parameters = DemoParameters(
            settings=settings, seconds=seconds, seed=seed, studio=command("studio"), lake=lake.address, **given
        )
        report = demo_flow(parameters)
    if as_json:
        show(asdict(report), [], as_json)
        return
    from flows.demo.summary import print_summary

    print_summary(report, command)


@click.command()
@click.argument("run", required=False)
@click.option("--compare", "other", metavar="RUN", help="Show how RUN and this one differ.")
@lake_option
@json_option
def runs(run: str | None, other: str | None, lake: Lake, as_json: bool) -> None:
    """List all training runs, or those whose id begins with RUN, or compare two."""
    if other is not None:
        _compare(run, other, lake, as_json)
        return
    with errors():
        from flows.training.status import list_status

        statuses = list_status(lake, run or "")
    lines = [status.line() for status in statuses]
    show([asdict(status) for status in statuses], lines or ["no run yet; `musenet train --dataset NAME`"], as_json)


def _compare(run: str | None, other: str, lake: Lake, as_json: bool) -> None:
    if run is None:
        raise click.UsageError("--compare takes two runs: musenet runs RUN --compare OTHER")
    with errors():
        from flows.training.comparison import compare_runs
        from flows.training.status import find_any_run

        compared = compare_runs(find_any_run(lake, run), find_any_run(lake, other))
    show(asdict(compared), compared.lines(), as_json)
