"""Commands on tokens: MIDI to tokens and back."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.options import dataset_option, encoding_option, lake_option, time_option, vocabulary_option
from flows.cli.output import read_bytes, write_bytes
from flows.cli.running import errors
from infra.lake import Lake
from infra.wording import counted

if TYPE_CHECKING:
    from tokenization.encodings import Encoding
    from tokenization.vocabulary import Vocabulary

_TIME = re.compile(r"(?P<number>\d+(\.\d+)?|\.\d+)(/(?P<divisor>\d+))?\s*(?P<unit>ms|s)?")
"""A fraction or decimal number, in seconds unless a unit says otherwise."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--style", help="Style label for the header.")
@encoding_option
@time_option
@vocabulary_option
@dataset_option
@click.option("--sustain", is_flag=True, help="Extend notes for as long as the sustain pedal holds them.")
@click.option("--ids", is_flag=True, help="Print token ids instead of text.")
@lake_option
def encode(
    file: Path,
    style: str | None,
    encoding: str | None,
    time: str | None,
    vocabulary: str | None,
    dataset: str | None,
    sustain: bool,
    ids: bool,
    lake: Lake,
) -> None:
    """Print a MIDI file as tokens, in MuseNet's own text form."""
    with errors():
        from tokenization.midi import read_midi
        from tokenization.vocabulary import style_label

        label = style_label(style) if style else None
        chosen = _encoding(encoding, time, vocabulary, dataset, lake, [label] if label else [])
        tokens = chosen.encode(read_midi(read_bytes(file), sustain), label)
        click.echo(" ".join(map(str, tokens.tolist())) if ids else chosen.vocabulary.to_text(tokens))


@click.command()
@click.argument("tokens")
@click.argument("out", type=click.Path(path_type=Path))
@encoding_option
@time_option
@vocabulary_option
@dataset_option
@click.option("--tick", metavar="TIME", help="Length of a tick: 1/100, 9.23ms or 0.0096 (s).  [default: 1/96]")
@click.option("--stacked", is_flag=True, help="Let notes of one pitch sound together; a note-off ends the oldest.")
@lake_option
def decode(
    tokens: str,
    out: Path,
    encoding: str | None,
    time: str | None,
    vocabulary: str | None,
    dataset: str | None,
    tick: str | None,
    stacked: bool,
    lake: Lake,
) -> None:
    """Write tokens as a MIDI file. TOKENS is text, ids, a file of either, or - for standard input.

    --tick and --stacked read tokens of OpenAI's service as its clients did.
    """
    with errors():
        from infra.errors import UserError
        from tokenization.midi.writing import write_midi

        text = sys.stdin.read() if tokens == "-" else tokens
        if tokens != "-" and _is_file(tokens):
            text = read_bytes(Path(tokens)).decode("utf-8", errors="replace")
        chosen = _encoding(encoding, time, vocabulary, dataset, lake)
        seconds = None if tick is None else _seconds(tick)
        notes = chosen.decode(chosen.vocabulary.parse_text(text), tick=seconds, stacked=stacked)
        if not len(notes):
            raise UserError("the tokens contain no note; nothing was written")
        write_bytes(out, write_midi(notes, chosen.vocabulary.output_names))
        click.echo(f"{out}: {counted(len(notes), 'note')}, {notes.seconds:.1f} s", err=True)


def _encoding(
    name: str | None,
    time: str | None,
    vocabulary: str | None,
    dataset: str | None,
    lake: Lake,
    styles: Iterable[str] = (),
) -> Encoding:
    """Return the encoding that the options choose. Raises UserError, VocabularyError included."""
    from infra.errors import UserError
    from tokenization.encodings import get_encoding

    if dataset is not None:
        if name or time or vocabulary:
            raise UserError("--dataset sets encoding, time and vocabulary; give either it or them")
        from tokenization.dataset import find_version

        return find_version(lake, dataset).encoding
    chosen = get_encoding(name or "combined", vocabulary_of(vocabulary or "musenet", styles), time or "seconds")
    if chosen.learns is not None and not chosen.vocabulary.learned:
        plain = "combined" if chosen.writes_ends else "onset"
        click.echo(f"{chosen.name} has learned nothing without --dataset: its tokens are those of {plain}", err=True)
    return chosen


def vocabulary_of(source: str, styles: Iterable[str] = ()) -> Vocabulary:
    """Load a vocabulary by name or from a .toml, with `styles`; or from a dataset version's `vocabulary.json`, with its
    own styles.

    Raises UserError for a file that cannot be read and VocabularyError for one that is not a vocabulary.
    """
    from infra.errors import UserError
    from tokenization.vocabulary import Vocabulary

    try:
        return Vocabulary.load(source, () if source.endswith(".json") else styles)
    except OSError as error:
        raise UserError(f"{source} cannot be read: {error.strerror}") from error


def _seconds(text: str) -> float:
    """Return a time in seconds: a fraction, seconds, or milliseconds with `ms`. Raises UserError."""
    from infra.errors import UserError

    found = _TIME.fullmatch(text.strip())
    divisor = float(found["divisor"] or 1) if found else 0.0
    if found is None or not divisor:
        raise UserError(f"{text!r} is no time; give a fraction of a second (1/96), seconds (0.0096) or 9.23ms")
    return float(found["number"]) / divisor / (1000 if found["unit"] == "ms" else 1)


def _is_file(text: str) -> bool:
    """True if a text names a file. Tokens may be longer than a file name can be."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
