"""Byte-pair encoding over a plain encoding: pairs of tokens that often follow each other become one.

`bach piano start tempo90 piano:v72:G1+piano:v72:D4 wait:16+piano:v72:G4 … end`

The merges are learned from a dataset and stored in the vocabulary. Header and `end` are never part of one. The
`tokenizers` library learns and applies the merges, each token as a character. Sources: Sennrich et al., "Neural Machine
Translation of Rare Words with Subword Units" (2016); OpenAI, "MuseNet" (2019).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from tokenization.encodings.encoding import HEADER, Encoding
from tokenization.vocabulary import Tokens, Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

FIRST_CHARACTER = 0x10000
"""Token 0 as a character; from here on no code point is special."""
WORD = 64
"""Tokens in a training word. Merges do not cross the bounds of words while they are learned; encoding has no words."""
LONGEST = 32
"""Tokens in a merge at most."""
MIN_FREQUENCY = 4
"""Occurrences of a pair from which on it is merged."""


class _BytePairs(Encoding):
    learns = LearnedKind.MERGE

    def learn(self, pieces: Iterable[Tokens], count: int) -> LearnedTokens:
        return learn_merges(pieces, self.vocabulary, count)

    def merge(self, tokens: Tokens) -> Tokens:
        if not self.vocabulary.learned:
            return tokens
        # The fast method skips the offsets of tokens in the text, which cost as much as the merging.
        music = self._merger.encode_batch_fast([_text(tokens[HEADER:-1])], add_special_tokens=False)[0].ids
        return np.concatenate([tokens[:HEADER], np.array(music, np.uint16), tokens[-1:]])

    @cached_property
    def _merger(self) -> Tokenizer:
        vocabulary = self.vocabulary
        words = [chr(FIRST_CHARACTER + token) for token in range(vocabulary.learned_base)]
        merges = []
        for left, right in vocabulary.learned.items:
            merges.append((words[left], words[right]))
            words.append(words[left] + words[right])
        return Tokenizer(BPE(vocab={word: token for token, word in enumerate(words)}, merges=merges))


class CombinedBytePairs(_BytePairs):
    """Merges over `combined`."""

    name = "combined_bpe"
    version = 2
    writes_ends = True


class OnsetBytePairs(_BytePairs):
    """Merges over `onset`."""

    name = "onset_bpe"
    version = 2
    writes_ends = False


def learn_merges(pieces: Iterable[Tokens], vocabulary: Vocabulary, count: int) -> LearnedTokens:
    """Return up to `count` merges from whole pieces of plain tokens; fewer where pairs are too rare.

    The same pieces in the same order give the same merges.
    """
    trainer = BpeTrainer(
        vocab_size=vocabulary.learned_base + count,
        min_frequency=MIN_FREQUENCY,
        max_token_length=LONGEST,
        initial_alphabet=[chr(FIRST_CHARACTER + token) for token in range(vocabulary.learned_base)],
        show_progress=False,
    )
    learner = Tokenizer(BPE())
    learner.train_from_iterator(_words(pieces), trainer)
    ids = {chr(FIRST_CHARACTER + token): token for token in range(vocabulary.learned_base)}
    items: list[tuple[int, int]] = []
    for left, right in json.loads(learner.to_str())["model"]["merges"]:
        ids[left + right] = vocabulary.learned_base + len(items)
        items.append((ids[left], ids[right]))
    return LearnedTokens(LearnedKind.MERGE, tuple(items))


def _words(pieces: Iterable[Tokens]) -> Iterator[str]:
    for tokens in pieces:
        music = _text(tokens[HEADER:-1])
        for first in range(0, len(music), WORD):
            yield music[first : first + WORD]


def _text(tokens: Tokens) -> str:
    return (tokens.astype(np.uint32) + FIRST_CHARACTER).astype("<u4").tobytes().decode("utf-32-le")
