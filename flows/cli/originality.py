"""The command `originality`: the spans of a MIDI file that stand in a dataset's training pieces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import json_option, lake_option
from flows.cli.output import read_bytes, show
from flows.cli.running import errors
from infra.lake import Lake
from infra.wording import counted


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, metavar="NAME[@DIGEST]", help="Dataset whose training pieces count.")
@lake_option
@json_option
def originality(file: Path, dataset: str, lake: Lake, as_json: bool) -> None:
    """Look for spans of a MIDI file in the training pieces of a dataset, in any key and at any tempo."""
    with errors():
        from flows.originality import open_index
        from infra.errors import UserError
        from tokenization.midi import MidiError, read_midi

        try:
            notes = read_midi(read_bytes(file))
        except MidiError as error:
            raise UserError(f"{file} cannot be used: {error}") from error
        index, version = open_index(lake, dataset)
        result = index.check(version.encoding.quantised(notes))
        paths = dict(version.manifest.drop_nulls("sha256").select("sha256", "path").iter_rows())
    lines = []
    for span, kind in ((result.copy, "copy"), (result.commonplace, "commonplace")):
        if span is not None:
            there = f"{paths.get(span.piece, span.piece)} at {span.piece_at:.1f} s"
            keys = f"{span.transposition:+d} semitones" if span.transposition else "in the same key"
            lines.append(
                f"{kind}: {counted(span.notes, 'note')}, {span.seconds:.1f} s, at {span.at:.1f} s; in {there}, {keys}"
            )
    lines = lines or [f"nothing in common with {counted(index.pieces, 'training piece')}"]
    lines += [f"near: {share:.1%} of its notes in {paths.get(piece, piece)}" for piece, share in result.nearest]
    show(asdict(result), lines, as_json)
