"""The command `evaluate`: distances of composed pieces, or of any MIDI files, from real music."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import json_option, lake_option, registry_option, seed_option, settings_option
from flows.cli.output import show
from flows.cli.running import errors, running
from infra.lake import Lake


@click.command()
@click.argument("source", metavar="MODEL|FOLDER")
@click.option("--dataset", metavar="NAME[@DIGEST]", help="Real pieces to compare with.  [default: the model's dataset]")
@click.option(
    "--pieces", type=click.IntRange(2), default=256, show_default=True, help="Pieces to compose for each style."
)
@click.option("--style", "styles", multiple=True, help="Style to evaluate, also several times.  [default: all]")
@click.option("--prompt-seconds", type=click.FloatRange(0), help="Continue the first seconds of held-out pieces.")
@click.option("--blind", is_flag=True, help="Mix composed and real piano rolls on the page.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Output folder.  [default: below evaluations/ in the lake]",
)
@settings_option("Change a setting: request.temperature=0.9, references=0, notes=512.")
@seed_option
@lake_option
@registry_option
@json_option
def evaluate(
    source: str,
    dataset: str | None,
    pieces: int,
    styles: tuple[str, ...],
    prompt_seconds: float | None,
    blind: bool,
    out: Path | None,
    settings: dict[str, str],
    seed: int,
    lake: Lake,
    as_json: bool,
) -> None:
    """Measure how far a model's pieces, or those in a folder of MIDI files, are from real music."""
    with errors():
        from flows.evaluation.settings import EvaluateParameters, EvaluationSettings
        from infra.settings import apply

        options = {"pieces": pieces, "styles": list(styles), "prompt_seconds": prompt_seconds or 0.0, "seed": seed}
        chosen = apply(EvaluationSettings, options, settings)
        parameters = EvaluateParameters(
            source=source, dataset=dataset, settings=chosen, blind=blind, out=out, lake=lake.address
        )
    with running(lake):
        from flows.evaluation.flow import evaluate as flow

        result = flow(parameters)
    overall = result.report.overall
    lines = [f"{'measure':<20} {'distance':>9} {'floor':>9} {'× floor':>8}"]
    for each in overall.measures:
        multiple = "–" if each.multiple is None else f"{each.multiple:.1f}"
        above = "  above the floor" if each.is_above_floor else ""
        lines.append(f"{each.measure:<20} {each.distance.value:9.3f} {each.floor.value:9.3f} {multiple:>8}{above}")
    median = "" if overall.multiple is None else f", median {overall.multiple:.1f} times the floor"
    lines.append(f"{result.report.source}: {overall.samples:,} pieces, {overall.held_out:,} held out{median}")
    lines.append(f"page: {result.page}")
    lines.append(f"pieces: {result.pieces}")
    show(result.report.model_dump(mode="json"), lines, as_json)
