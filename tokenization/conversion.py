"""MIDI files to tokens and back, in one call each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import UserError

if TYPE_CHECKING:
    from tokenization.encodings import Encoding
    from tokenization.vocabulary import Tokens


def encode(
    midi: str | os.PathLike[str] | bytes,
    *,
    style: str | None = None,
    encoding: Encoding | None = None,
    sustain: bool = False,
) -> Tokens:
    """Return the token ids of a MIDI file, given by its path or its bytes, as uint16, shape (n,).

    `encoding` is `combined` in seconds over the vocabulary `musenet` unless given, for example
    `open_dataset("mine").encoding`. With `sustain` notes last as long as the sustain pedal holds them. Raises
    MusenetError.
    """
    from tokenization.midi import read_midi

    data = midi if isinstance(midi, bytes) else _read(Path(midi).expanduser())
    return (encoding or _default_encoding(style)).encode(read_midi(data, sustain), style)


def decode(
    tokens: Tokens | str, *, encoding: Encoding | None = None, tick: float | None = None, stacked: bool = False
) -> bytes:
    """Return the MIDI file that tokens stand for; `tokens` are ids or the text form. Raises MusenetError.

    `tick` in seconds and `stacked` are for tokens of OpenAI's service: see `Encoding.decode`.
    """
    from tokenization.midi.writing import write_midi

    chosen = encoding or _default_encoding(None)
    ids = chosen.vocabulary.parse_text(tokens) if isinstance(tokens, str) else tokens
    return write_midi(chosen.decode(ids, tick=tick, stacked=stacked), chosen.vocabulary.output_names)


def _default_encoding(style: str | None) -> Encoding:
    from tokenization.encodings import get_encoding
    from tokenization.vocabulary import Vocabulary

    return get_encoding("combined", Vocabulary.load("musenet", [] if style is None else [style]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
