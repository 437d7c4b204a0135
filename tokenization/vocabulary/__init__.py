"""Vocabularies: what every token id means."""

from tokenization.vocabulary.file import VocabularyError
from tokenization.vocabulary.vocabulary import (
    NO_ROW,
    PITCHES,
    ROWS,
    Tokens,
    Vocabulary,
    builtin_vocabularies,
    pitch_name,
    style_label,
)

__all__ = [
    "NO_ROW",
    "PITCHES",
    "ROWS",
    "Tokens",
    "Vocabulary",
    "VocabularyError",
    "builtin_vocabularies",
    "pitch_name",
    "style_label",
]
