"""The encodings: notes ⇄ token ids, one module each behind the `Encoding` interface."""

from __future__ import annotations

from typing import Protocol

from tokenization.encodings.combined import Combined
from tokenization.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary, VocabularyError


class Encoding(Protocol):
    """What every encoding offers."""

    name: str
    version: int
    """Raised whenever the same notes would give other tokens; part of every dataset's digest."""
    vocabulary: Vocabulary

    def encode(self, notes: Notes, style: str | None = None) -> Tokens:
        """Token ids of a whole piece, header to `end`."""
        ...

    def decode(self, tokens: Tokens) -> Notes:
        """The notes of any token sequence, also an incomplete or invalid one."""
        ...


ENCODINGS: dict[str, type[Combined]] = {Combined.name: Combined}


def get_encoding(name: str, vocabulary: Vocabulary) -> Encoding:
    """The encoding of that name over a vocabulary. Raises VocabularyError listing those that exist."""
    if name not in ENCODINGS:
        raise VocabularyError(f"no encoding {name!r}; there are: {', '.join(ENCODINGS)}")
    return ENCODINGS[name](vocabulary)
