"""Commands that draw piano rolls and the layouts of sparse attention."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import settings_option
from flows.cli.output import read_bytes, write_bytes
from flows.cli.running import errors
from flows.cli.tokens import vocabulary_of
from infra.wording import counted


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--vocabulary",
    default="musenet",
    show_default=True,
    help="Vocabulary whose instruments are coloured: a name, a .toml, or a dataset's vocabulary.json.",
)
@click.option("--title", default="", help="Title above the picture.")
def roll(file: Path, out: Path, vocabulary: str, title: str) -> None:
    """Draw a MIDI file as a piano roll, in the format of the suffix of OUT: .png or .svg."""
    with errors():
        from infra.errors import UserError
        from tokenization.midi import read_midi
        from tokenization.pictures.piano_roll_file import PICTURES, draw_piano_roll

        picture = PICTURES.get(out.suffix.lower())
        if picture is None:
            raise UserError(f"{out} cannot be drawn: its name must end in {' or '.join(PICTURES)}")
        notes = read_midi(read_bytes(file))
        write_bytes(out, draw_piano_roll(notes, vocabulary_of(vocabulary), title, picture))
        click.echo(f"{out}: {counted(len(notes), 'note')}, {notes.seconds:.1f} s", err=True)


@click.command()
@click.argument("out", type=click.Path(path_type=Path), default="layouts.html")
@click.option("--preset", metavar="NAME", help="Draw the layers of this model.  [default: all modes]")
@settings_option("Change the preset: model.sparsity.block=32.")
@click.option(
    "--length",
    type=click.IntRange(16, 65_536),
    help="Positions to draw.  [default: the model's context, or 1024]",
)
def layouts(out: Path, preset: str | None, settings: dict[str, str], length: int | None) -> None:
    """Draw the layouts of sparse attention as an HTML page, each with its share of dense attention.

    OUT defaults to layouts.html. With --set alone, the preset is tiny.
    """
    with errors():
        from modeling.config import load_preset, with_settings
        from modeling.network.sparsity.page import model_page, modes_page

        if preset is None and not settings:
            page = modes_page(length or 1024)
        else:
            chosen = with_settings(load_preset(preset or "tiny"), settings)
            page = model_page(chosen.name, chosen.model, length or chosen.model.context)
        write_bytes(out, page.encode())
        click.echo(f"{out}: {page.count('<svg')} layouts", err=True)
