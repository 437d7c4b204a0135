"""Commands that draw: a MIDI file as a piano roll."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.common import errors, read_bytes, write_bytes
from flows.cli.tokens import vocabulary_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--vocabulary",
    default="musenet",
    show_default=True,
    help="Whose instruments have the colours: a name, a TOML file, or the vocabulary.json of a dataset version.",
)
@click.option("--title", default="", help="What stands above the picture.")
def roll(file: Path, out: Path, vocabulary: str, title: str) -> None:
    """Draw a MIDI file as a piano roll. The suffix of OUT, .png or .svg, decides the format."""
    with errors():
        from flows.errors import UserError
        from tokenization.midi import read_midi
        from tokenization.pianoroll import PICTURES, draw_piano_roll

        picture = PICTURES.get(out.suffix.lower())
        if picture is None:
            raise UserError(f"{out} cannot be drawn: its name must end in {' or '.join(PICTURES)}")
        notes = read_midi(read_bytes(file))
        write_bytes(out, draw_piano_roll(notes, vocabulary_of(vocabulary), title, picture))
        click.echo(f"{out}: {len(notes)} notes, {notes.seconds:.1f} s", err=True)
