"""Vocabularies: the meaning of token ids as data.

`Vocabulary.load("musenet")` reads a built-in one. It is built from a vocabulary file (`file`), whose order gives the
blocks of ids (`layout`), the styles and the learned tokens of a dataset (`learned_tokens`), and has a text form
(`text`). `mapping` relates the tokens of two vocabularies. `general_midi` names programs and percussion keys.
"""

from tokenization.vocabulary.file import VocabularyError
from tokenization.vocabulary.layout import NO_ROW, PITCHES, ROWS, Tokens
from tokenization.vocabulary.learned_tokens import Expansion, LearnedKind, LearnedTokens
from tokenization.vocabulary.mapping import NEW, Mapping, missing
from tokenization.vocabulary.sources import builtin_vocabularies
from tokenization.vocabulary.text import pitch_name, style_label
from tokenization.vocabulary.vocabulary import Vocabulary

__all__ = [
    "NEW",
    "NO_ROW",
    "PITCHES",
    "ROWS",
    "Expansion",
    "LearnedKind",
    "LearnedTokens",
    "Mapping",
    "Tokens",
    "Vocabulary",
    "VocabularyError",
    "builtin_vocabularies",
    "missing",
    "pitch_name",
    "style_label",
]
