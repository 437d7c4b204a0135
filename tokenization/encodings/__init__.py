"""The encodings: notes ⇄ token ids, one module each behind the `Encoding` interface.

combined      starts and ends of notes, waits between
chordwise     the same, but what sounds at a time is one token where it is a known chord
onset         starts alone
combined_bpe  combined with byte-pair merges
onset_bpe     onset with byte-pair merges

Each counts time in seconds or in beats. Chords and merges are learned from a dataset by `learn_tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokenization.encodings.byte_pairs import CombinedBytePairs, OnsetBytePairs, learn_merges
from tokenization.encodings.chordwise import Chordwise, learn_chords
from tokenization.encodings.combined import Combined
from tokenization.encodings.encoding import HEADER, Encoding
from tokenization.encodings.grid import Time
from tokenization.encodings.onset import Onset
from tokenization.vocabulary import Tokens, Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import LearnedKind

ENCODINGS: dict[str, type[Encoding]] = {
    encoding.name: encoding for encoding in (Combined, Chordwise, Onset, CombinedBytePairs, OnsetBytePairs)
}


def get_encoding(name: str, vocabulary: Vocabulary, time: Time | str = Time.SECONDS) -> Encoding:
    """The encoding of that name over a vocabulary. Raises VocabularyError listing those that exist."""
    if name not in ENCODINGS:
        raise VocabularyError(f"no encoding {name!r}; there are: {', '.join(ENCODINGS)}")
    if time not in [*Time]:
        raise VocabularyError(f"no time {time!r}; there are: {', '.join(Time)}")
    return ENCODINGS[name](vocabulary, Time(time))


def learn_tokens(encoding: Encoding, pieces: Iterable[Tokens], count: int) -> Encoding:
    """The encoding with up to `count` units learned from pieces of its plain tokens (`encode` without units).

    A plain encoding has nothing to learn and comes back as it is.
    """
    if encoding.learns is None:
        return encoding
    learn = learn_chords if encoding.learns is LearnedKind.CHORD else learn_merges
    units = learn(pieces, encoding.vocabulary, count)
    return type(encoding)(replace(encoding.vocabulary, learned=units), encoding.time)


__all__ = ["ENCODINGS", "HEADER", "Encoding", "Time", "get_encoding", "learn_tokens"]
