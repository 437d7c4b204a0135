"""The command `judge`: what a model's critic says of MIDI files, whoever wrote them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import read_bytes, show
from flows.cli.running import errors
from infra.errors import UserError
from infra.lake import Lake
from infra.wording import counted

if TYPE_CHECKING:
    from registry.judging import Judged
    from tokenization.midi.notes import Notes

ASPECTS = ("order", "instruments", "style")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|FOLDER...", type=click.Path(path_type=Path))
@click.option("--model", default="champion", show_default=True, help="Alias or version number, whose critic judges.")
@click.option("--style", help="The files' style, for the aspect of style.")
@lake_option
@registry_option
@json_option
def judge(paths: tuple[Path, ...], model: str, style: str | None, lake: Lake, as_json: bool) -> None:
    """Judge MIDI files by a model's critic: how likely they are real, in order, by their own instruments, in a style.

    Files come sorted, the least likely in any respect first. A folder stands for the MIDI files below it. Files that
    cannot be used are named, and left out.
    """
    with errors():
        from flows.progress import stage
        from infra.services import library_settings
        from registry.judging import judge_music
        from tokenization.midi import MidiError, read_midi

        music: dict[Path, Notes] = {}
        refused: dict[Path, str] = {}
        for path in _files(paths):
            try:
                music[path] = read_midi(read_bytes(path))
            except MidiError as error:
                refused[path] = str(error)
        for path, why in refused.items():
            click.echo(f"{path} cannot be used: {why}", err=True)
        if not music:
            raise UserError("there is no file to judge")
        with library_settings(lake):
            from registry.loading import load_composer

            bundle = load_composer(model, lake.address, "cpu").bundle
        found: dict[Path, Judged] = {}
        with stage("judging") as bar:
            for path, notes in music.items():
                found[path] = judge_music(bundle, notes, style)
                bar.update(len(found), len(music), counted(len(found), "file"))
    ordered = dict(sorted(found.items(), key=lambda each: min(each[1].score, *each[1].aspects.values(), 1.0)))
    report = {"judged": {str(path): asdict(each) for path, each in ordered.items()}}
    show(report | {"refused": {str(path): why for path, why in refused.items()}}, _lines(ordered), as_json)


def _files(paths: tuple[Path, ...]) -> list[Path]:
    """Return the files that are named, and the MIDI files below folders that are. Raises UserError for one that has
    none."""
    from flows.evaluation.folder import midi_files

    found: list[Path] = []
    for path in paths:
        below = midi_files(path) if path.is_dir() else [path]
        if not below:
            raise UserError(f"{path} has no MIDI file")
        found += below
    return list(dict.fromkeys(found))


def _lines(judged: dict[Path, Judged]) -> list[str]:
    """Return judgements as lines of text."""
    lines = [f"{'real':>5} {'order':>6} {'instruments':>11} {'style':>6}  {'least real up to':>16}  file"]
    for path, each in judged.items():
        order, instruments, style = (f"{each.aspects[n]:.2f}" if n in each.aspects else "–" for n in ASPECTS)
        seconds, score = each.weakest
        weakest = f"{seconds:.0f} s ({score:.2f})"
        lines.append(f"{each.score:5.2f} {order:>6} {instruments:>11} {style:>6}  {weakest:>16}  {path}")
    return lines
