"""The command `evaluate`: distances of composed pieces, or of any MIDI files, from real music."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.options import json_option, lake_option, registry_option, seed_option, settings_option
from flows.cli.output import show
from flows.cli.running import errors, running
from infra.lake import Lake

if TYPE_CHECKING:
    from flows.evaluation.paired_report import PairedReport
    from flows.evaluation.report import EvaluationReport


@click.command()
@click.argument("source", metavar="MODEL|FOLDER")
@click.option("--against", metavar="MODEL", help="Compare with another model on the same pieces: champion, 3.")
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
    against: str | None,
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
            source=source,
            against=against,
            dataset=dataset,
            settings=chosen,
            blind=blind,
            out=out,
            lake=lake.address,
        )
    with running(lake, "flows.evaluation.flow"):
        from flows.evaluation.flow import evaluate as flow

        result = flow(parameters)
    lines = [*_lines(result.report), f"page: {result.page}", f"pieces: {result.pieces}"]
    if result.against is not None:
        lines += [*_differences(result.against), f"page: {result.against_page}"]
    report = result.report.model_dump(mode="json")
    if result.against is not None:
        report["against"] = result.against.model_dump(mode="json")
    show(report, lines, as_json)


def _lines(report: EvaluationReport) -> list[str]:
    """Return an evaluation as lines of text."""
    overall = report.overall
    lines = [f"{'measure':<20} {'distance':>9} {'floor':>9} {'× floor':>8}"]
    for each in overall.measures:
        multiple = "–" if each.multiple is None else f"{each.multiple:.1f}"
        above = "  above the floor" if each.is_above_floor else ""
        lines.append(f"{each.measure:<20} {each.distance.value:9.3f} {each.floor.value:9.3f} {multiple:>8}{above}")
    median = "" if overall.multiple is None else f", median {overall.multiple:.1f} times the floor"
    lines.append(f"{report.source}: {overall.samples:,} pieces, {overall.held_out:,} held out{median}")
    if report.likelihood is not None:
        nats, bits = report.likelihood.nats_per_note, report.likelihood.bits_per_second
        lines.append(
            f"test pieces: {nats.value:.3f} nats/note [{nats.low:.3f}, {nats.high:.3f}], {bits.value:.1f} bits/s"
        )
    return lines


def _differences(report: PairedReport) -> list[str]:
    """Return the differences of two models as lines of text."""
    names = [each.name.split()[-1] for each in (report.model, report.against)]
    lines = [f"{'figure':<20} {names[0]:>9} {names[1]:>9} {'difference [95 %]':>27}"]
    for each in report.overall:
        apart = f"{each.difference.value:+.3f} [{each.difference.low:+.3f}, {each.difference.high:+.3f}]"
        lines.append(f"{each.figure:<20} {each.model:9.3f} {each.against:9.3f} {apart:>27}  {each.verdict}")
    return lines + [f"note: {line}" for line in report.notices]
