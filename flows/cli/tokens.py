"""Commands on tokens: MIDI to tokens and back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.common import errors, read_bytes

if TYPE_CHECKING:
    from tokenization.vocabulary import Vocabulary


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--style", help="Style label for the header.")
@click.option(
    "--vocabulary", default="musenet", show_default=True, help="A name, or the vocabulary.json of a dataset version."
)
@click.option("--ids", is_flag=True, help="Print token ids instead of text.")
def encode(file: Path, style: str | None, vocabulary: str, ids: bool) -> None:
    """Print a MIDI file as MuseNet's tokens."""
    with errors():
        from tokenization.encodings import get_encoding
        from tokenization.midi import read_midi
        from tokenization.vocabulary import style_label

        label = style_label(style) if style else None
        known = vocabulary_of(vocabulary, [label] if label else [])
        tokens = get_encoding("combined", known).encode(read_midi(read_bytes(file)), label)
        click.echo(" ".join(map(str, tokens.tolist())) if ids else known.to_text(tokens))


@click.command()
@click.argument("tokens")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--vocabulary", default="musenet", show_default=True, help="A name, or the vocabulary.json of a dataset version."
)
def decode(tokens: str, out: Path, vocabulary: str) -> None:
    """Write tokens as a MIDI file. TOKENS is text, ids, a file that holds them, or - for standard input."""
    with errors():
        from flows.errors import UserError
        from flows.files import write_atomically
        from tokenization.encodings import get_encoding
        from tokenization.midi import write_midi
        from tokenization.text import parse_text

        text = sys.stdin.read() if tokens == "-" else tokens
        if tokens != "-" and _is_file(tokens):
            text = read_bytes(Path(tokens)).decode("utf-8", errors="replace")
        known, ids = parse_text(text, vocabulary_of(vocabulary))
        notes = get_encoding("combined", known).decode(ids)
        if not len(notes):
            raise UserError("these tokens hold no note; nothing was written")
        try:
            write_atomically(out, write_midi(notes))
        except OSError as error:
            raise UserError(f"{out} cannot be written: {error.strerror}") from error
        click.echo(f"{out}: {len(notes)} notes, {notes.seconds:.1f} s", err=True)


def vocabulary_of(source: str, styles: Iterable[str] = ()) -> Vocabulary:
    """A built-in vocabulary by name, with styles, or that of a dataset version from its `vocabulary.json`."""
    from flows.errors import UserError
    from tokenization.vocabulary import Vocabulary, VocabularyError

    if not source.endswith((".json", ".toml")):
        return Vocabulary.load(source, styles)
    text = read_bytes(Path(source))
    try:
        if source.endswith(".json"):
            return Vocabulary.from_json(text.decode("utf-8"))
        return Vocabulary.load(Path(source).expanduser(), styles)
    except VocabularyError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source} is no vocabulary: {error}") from error


def _is_file(text: str) -> bool:
    """Whether a text names a file; tokens may be longer than any file's name."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
