"""The encodings: notes ⇄ token ids.

    combined      starts and ends of notes, waits between
    chordwise     the same, but the notes of one tick are one token where they are a known chord
    note          starts, each with its length
    onset         starts alone
    combined_bpe  combined with byte-pair merges
    onset_bpe     onset with byte-pair merges

Each counts time in seconds or in beats. `note` adds its lengths to a vocabulary; chords and merges are learned from a
dataset by `learn_tokens`. A new encoding is a module with a subclass of `Encoding` and its entry in ENCODINGS: its
tokens, its features (`structure`) and its grammar (`grammar`) all follow from what `Encoding.effects` describes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokenization.encodings.byte_pairs import CombinedBytePairs, OnsetBytePairs
from tokenization.encodings.chordwise import Chordwise
from tokenization.encodings.combined import Combined
from tokenization.encodings.encoding import HEADER, Encoding
from tokenization.encodings.grid import Time
from tokenization.encodings.note import Note
from tokenization.encodings.onset import Onset
from tokenization.vocabulary import Tokens, Vocabulary, VocabularyError

ENCODINGS: dict[str, type[Encoding]] = {
    encoding.name: encoding for encoding in (Combined, Chordwise, Note, Onset, CombinedBytePairs, OnsetBytePairs)
}


def get_encoding(name: str, vocabulary: Vocabulary, time: Time | str = Time.SECONDS) -> Encoding:
    """Return the encoding of that name over a vocabulary. Raises VocabularyError listing those that exist."""
    if name not in ENCODINGS:
        raise VocabularyError(f"no encoding {name!r}; there are: {', '.join(ENCODINGS)}")
    if time not in [*Time]:
        raise VocabularyError(f"no time {time!r}; there are: {', '.join(Time)}")
    return ENCODINGS[name](vocabulary, Time(time))


def learn_tokens(encoding: Encoding, pieces: Iterable[Tokens], count: int) -> Encoding:
    """Return the encoding with up to `count` tokens learned from whole pieces of its plain tokens.

    A plain encoding has nothing to learn and comes back as it is.
    """
    if encoding.learns is None:
        return encoding
    learned = encoding.learn(pieces, count)
    return type(encoding)(replace(encoding.vocabulary, learned=learned), encoding.time)


__all__ = ["ENCODINGS", "HEADER", "Encoding", "Time", "get_encoding", "learn_tokens"]
