"""The text form as a person writes it: any style name in front, words or plain ids."""

from __future__ import annotations

from tokenization.vocabulary import Tokens, Vocabulary, style_label


def parse_text(text: str, vocabulary: Vocabulary) -> Tokens:
    """Token ids of a text.

    A first word that the vocabulary does not know but that reads like a style (`chopin`) is taken for one. Raises
    VocabularyError at the first bad token.
    """
    first = text.split(maxsplit=1)[0] if text.split() else ""
    is_style = first == style_label(first) and not first.isdecimal() and first not in vocabulary.names
    if first and is_style and not vocabulary.styles and vocabulary.style_slots:
        vocabulary = vocabulary.with_styles([first])
    return vocabulary.from_text(text)
