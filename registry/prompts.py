"""Prompts: the music that a piece begins with, as the bytes of a MIDI file or of a file of tokens.

Tokens are in the text form that `musenet encode` prints and samples are written in. They are taken as they are, notes
that still sound included, so that a piece can go on from any of its tokens.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from infra.errors import UserError
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.effects import OTHER
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import DEFAULT_TEMPO, Notes
from tokenization.vocabulary import Tokens, Vocabulary, VocabularyError

if TYPE_CHECKING:
    from registry.requests import PieceRequest

TEXT, MIDI = ".txt", ".mid"
"""Endings of the names of prompts; what does not end as TEXT is read as MIDI."""


@dataclass(frozen=True)
class Prompt:
    """The bytes of a MIDI file or of a file of tokens."""

    data: bytes
    name: str
    """Of the file, for messages; it ends in TEXT for tokens."""
    _encoded: dict[object, Tokens] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, request: PieceRequest) -> Prompt | None:
        """Read the file that a request names, None where it names none. Raises UserError."""
        if request.prompt is None:
            return None
        try:
            prompt = cls(request.prompt.expanduser().read_bytes(), str(request.prompt))
        except OSError as error:
            raise UserError(f"the prompt {request.prompt} cannot be read: {error.strerror}") from error
        if not prompt.is_text:
            prompt.notes  # noqa: B018 (raises for a file without music)
        return prompt

    @classmethod
    def of_tokens(cls, tokens: Tokens, vocabulary: Vocabulary, name: str) -> Prompt:
        """Return tokens as a prompt, to be called `name` in messages."""
        return cls((vocabulary.to_text(tokens) + "\n").encode(), name + TEXT)

    @classmethod
    def of_text(cls, text: str, name: str) -> Prompt:
        """Return a prompt from text: a MIDI file in base64, or tokens. It is called `name` in messages.

        Raises UserError for a file that is none with notes.
        """
        try:
            prompt = cls(base64.b64decode(text, validate=True), name + MIDI)
        except ValueError:
            return cls(text.encode(errors="replace"), name + TEXT)
        prompt.notes  # noqa: B018 (raises for a file without music)
        return prompt

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def is_text(self) -> bool:
        """True for tokens."""
        return self.name.lower().endswith(TEXT)

    @property
    def suffix(self) -> str:
        """Ending of the name of a copy."""
        return TEXT if self.is_text else MIDI

    @cached_property
    def notes(self) -> Notes:
        """The music of a MIDI file. Raises UserError for bytes that are none with notes."""
        try:
            return read_midi(self.data)
        except MidiError as error:
            raise self._unusable(error) from error

    def tokens(self, encoding: Encoding, count: int | None, seconds: float | None, bars: float | None) -> Tokens:
        """Return the header and the music without `end`, shape (n,): all of it, or its first notes, seconds or bars.

        Raises UserError for tokens that the vocabulary does not have or that are no piece.
        """
        from modeling.generation import beginning

        key = (encoding.name, encoding.time, encoding.vocabulary.digest, count, seconds, bars)
        if key not in self._encoded:
            if not self.is_text:
                found = encoding.encode(beginning(self.notes, count, seconds, bars))[:-1]
            else:
                found = self._read(encoding)
                if (count, seconds, bars) != (None, None, None):
                    style = found[0]
                    found = encoding.encode(beginning(self._music(encoding, found), count, seconds, bars))[:-1]
                    found[0] = style
            self._encoded[key] = found
        return self._encoded[key].copy()

    def _music(self, encoding: Encoding, tokens: Tokens) -> Notes:
        notes = encoding.decode(tokens)
        if not len(notes):
            raise self._unusable("the tokens contain no note")
        return notes

    def _read(self, encoding: Encoding) -> Tokens:
        """Return the tokens of the text up to `end`, with a header."""
        vocabulary = encoding.vocabulary
        try:
            tokens = vocabulary.from_text(self.data.decode("utf-8", errors="replace"))
        except VocabularyError as error:
            raise self._unusable(error) from error
        ends = np.flatnonzero((tokens == vocabulary.end) | (tokens == vocabulary.end_sample))
        tokens = tokens[: ends[0]] if len(ends) else tokens
        if not (tokens == vocabulary.start).any():
            tokens = np.concatenate([_header(encoding, self._music(encoding, tokens)), tokens])
        is_header = len(tokens) >= HEADER and tokens[2] == vocabulary.start
        if not (is_header and _begins_as_a_piece(tokens, vocabulary)):
            raise self._unusable("its tokens must begin with style, instruments, start and tempo, or be music alone")
        # Learned ids, which are of no kind of their own, are music.
        strange = (encoding.effects.table.kind[tokens] == OTHER) & (tokens < vocabulary.learned_base)
        strange[:HEADER] = False
        if strange.any():
            at = int(strange.argmax())
            raise self._unusable(f"token {at}: {vocabulary.names[tokens[at]]!r} may not stand within the music")
        return tokens

    def _unusable(self, reason: object) -> UserError:
        return UserError(f"the prompt {self.name} cannot be used: {reason}")


def _begins_as_a_piece(tokens: Tokens, vocabulary: Vocabulary) -> bool:
    style, instruments, tempo = (int(token) for token in tokens[[0, 1, 3]])
    is_style = vocabulary.style_base <= style < vocabulary.tempo_base or style == vocabulary.no_style
    mask = instruments - vocabulary.instrumentation_base
    return (
        is_style and 0 < mask < 2 ** len(vocabulary.groups) and vocabulary.tempo_base <= tempo < vocabulary.special_base
    )


def _header(encoding: Encoding, music: Notes) -> Tokens:
    """Return the header of music without one: no style, the instruments that play, the usual tempo."""
    header = encoding.encode(music)[:HEADER]
    header[3] = encoding.vocabulary.tempo_id(DEFAULT_TEMPO)
    return header
