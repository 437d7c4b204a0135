"""The command `sample`: compose with a registered model, make a sample again, or work through a table of requests.

Options without a value are left out, so that their defaults are those of `registry.requests.PieceRequest`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from flows.cli.controls import control_options
from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import LISTED, show
from flows.cli.running import FAILED, running
from infra.lake import Lake
from infra.wording import counted

POSITIVE = click.FloatRange(0, min_open=True)


@click.command()
@click.option("--model", help="Alias or version number.  [default: champion]")
@click.option("--style", help="Style of the model's dataset.")
@click.option("--instruments", help="Names of the model's instruments, joined by commas: piano,strings.")
@click.option("--prompt", type=click.Path(path_type=Path), help="MIDI file to continue, or a .txt of tokens.")
@click.option(
    "--opening", metavar="STYLE/NAME", help="Piece of the model's dataset to begin like; `musenet openings` lists them."
)
@click.option("--seconds", type=POSITIVE, help="Length of a piece in time.")
@click.option("--length", type=click.IntRange(32), help="Length of a piece in tokens.  [default: 1024]")
@click.option("--tempo", type=POSITIVE, help="Beats per minute.  [default: 120]")
@click.option("--temperature", type=POSITIVE, help="Sampling temperature.  [default: the model's]")
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    help="Probability mass of the tokens that are sampled from (nucleus sampling).  [default: the model's]",
)
@click.option(
    "--top-k", type=click.IntRange(0), help="Most probable tokens, of which one is drawn; 0: all.  [default: 0]"
)
@click.option(
    "--min-p",
    type=click.FloatRange(0, 1),
    help="Least probability of a token, as a share of the most probable one's.  [default: 0.0]",
)
@click.option(
    "--typical",
    type=click.FloatRange(0, 1, min_open=True),
    help="Locally typical sampling: probability mass of the tokens that are kept.  [default: 1.0]",
)
@click.option("--longest-note", type=POSITIVE, help="Seconds.  [default: 8.0]")
@click.option(
    "--guidance",
    type=click.FloatRange(1),
    help="Classifier-free guidance: adherence to style and instruments; above 1 takes twice as long.  [default: 1.0]",
)
@click.option("--best-of", type=click.IntRange(1), help="Candidates for each piece.  [default: 8]")
@click.option(
    "--rank",
    type=click.Choice(["auto", "critic", "likelihood", "none"]),
    help="By what the best candidate is chosen; none: the first; auto: the critic if it beats chance, else none.  "
    "[default: auto]",
)
@click.option(
    "--prune", is_flag=True, default=None, help="Drop the worse half of the candidates after 64, 128 and 192 tokens."
)
@click.option(
    "--candidate", type=click.IntRange(0), help="Number of the first candidate among those of the seed.  [default: 0]"
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the random numbers.  [default: 0]")
@click.option(
    "--weights",
    type=click.Choice(["auto", "fp32", "int8"]),
    help="Precision of the network's matrices; int8 is twice as fast, on a CPU only; auto: that, where it can be.  "
    "[default: auto]",
)
@click.option(
    "--refuse-copies",
    type=click.IntRange(8),
    metavar="NOTES",
    help="Draw a piece again that copies so many notes of a training piece.",
)
@click.option("--count", type=click.IntRange(1), help="Number of pieces.  [default: 1]")
@click.option(
    "--again",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Make the sample with this metadata again, and say if anything differs.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Go on from the sample with this metadata, as it was made but for the options that are given.",
)
@click.option("--at", type=click.FloatRange(0), help="Seconds of that sample that are kept.  [default: all]")
@click.option("--audio", type=click.Choice(["wav", "flac", "mp3"]), help="Write audio, too.")
@click.option(
    "--soundfont",
    type=click.Path(path_type=Path),
    metavar="FILE.sf2",
    help="Soundfont of the audio.  [default: $MUSENET_SOUNDFONT, else one that is installed]",
)
@click.option(
    "--requests",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compose a piece for each row of a .csv, .parquet or .json; other options are for all rows.",
)
@click.option(
    "--engine", type=click.Choice(["local", "ray", "dask"]), help="Where a table is composed.  [default: local]"
)
@click.option("--workers", type=click.IntRange(1), help="Processes for a table.  [default: the processor cores]")
@click.option("--cluster", metavar="ADDRESS", help="Running Ray or Dask cluster to compose a table on.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Output folder.  [default: samples/ in the lake]"
)
@control_options
@lake_option
@registry_option
@json_option
def sample(
    again: Path | None, requests: Path | None, out: Path | None, lake: Lake, as_json: bool, **choices: Any
) -> None:
    """Compose with a registered model."""
    given = {name: value for name, value in choices.items() if value is not None}
    if again is not None:
        _sample_again(again, out, lake, as_json, given)
        return
    if requests is not None:
        _sample_table(requests, out, lake, as_json, given)
        return
    if "at" in given and "source" not in given:
        raise click.UsageError("--at is a place in an earlier sample: give one by --from")
    for name in ("engine", "workers", "cluster"):
        if name in given:
            raise click.UsageError(f"--{name} is for a table of requests: give one by --requests")
    with running(lake, "flows.sampling.flow"):
        from flows.sampling.flow import sample as flow
        from flows.sampling.parameters import SampleParameters

        report = flow(SampleParameters(out=out, lake=lake.address, **given))
    lines = [
        f"{s.midi}  {_score(s.score)}{counted(s.notes, 'note')}, {s.seconds:.0f} s"
        f"{_copied(s.copied_notes)}{_unheard(s.unheard)}"
        for s in report.samples
    ]
    show(asdict(report), lines, as_json)


def _score(score: float | None) -> str:
    return "" if score is None else f"score {score:.3f}, "


def _copied(notes: int | None) -> str:
    return "" if notes is None else f", {counted(notes, 'note')} copied" if notes else ", original"


def _unheard(names: Sequence[str]) -> str:
    return f", without {', '.join(names)}" if names else ""


def _sample_again(metadata: Path, out: Path | None, lake: Lake, as_json: bool, given: dict[str, Any]) -> None:
    """Make a sample again; exit with FAILED if it differs."""
    model = given.pop("model", None)
    if given:
        names = ", ".join(f"--{'from' if name == 'source' else name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"--again makes the piece as {metadata} says; it takes no {names}")
    with running(lake, "flows.sampling.flow"):
        from flows.sampling.flow import sample_again
        from flows.sampling.parameters import AgainParameters

        report = sample_again(AgainParameters(metadata=metadata, model=model, out=out, lake=lake.address))
    lines = [f"equal: {metadata} gives the same bytes again"] if report.equal else []
    lines += [f"differs: {line}" for line in report.differences]
    lines += [f"restored: {file}" for file in report.restored]
    lines += [f"left as it is: {file} has been changed since" for file in report.changed]
    lines += [] if report.midi is None else [f"written: {report.midi}"]
    show(asdict(report), lines, as_json)
    if not report.equal:
        sys.exit(FAILED)


def _sample_table(requests: Path, out: Path | None, lake: Lake, as_json: bool, given: dict[str, Any]) -> None:
    """Compose a table; exit with FAILED if a row failed."""
    if "refuse_copies" in given:
        raise click.UsageError("--refuse-copies is for one request; `musenet originality` checks files")
    if "count" in given:
        raise click.UsageError("--count is for one request; a table has a row for each piece")
    if "source" in given:
        raise click.UsageError("--from is for one request; a table may name a sample's text file as its prompt")
    of_run = ("model", "audio", "soundfont", "engine", "workers", "cluster")
    settings = {name: given.pop(name) for name in of_run if name in given}
    with running(lake, "flows.sampling.flow"):
        from flows.sampling.flow import sample_table
        from flows.sampling.parameters import TableParameters

        parameters = TableParameters(requests=requests, defaults=given, out=out, lake=lake.address, **settings)
        report = sample_table(parameters)
    lines = [f"row {number} failed: {error}" for number, error in report.failed.items()][:LISTED]
    done = report.rows - len(report.failed)
    lines.append(f"{counted(report.rows, 'row')}: {done:,} done, {report.composed:,} of them now, in {report.folder}")
    lines.append(f"index: {report.index}")
    show(asdict(report), lines, as_json)
    if report.failed:
        sys.exit(FAILED)
