"""The text form as a person writes it: any style name in front, words or plain ids."""

from __future__ import annotations

from dataclasses import replace

from tokenization.vocabulary import Tokens, Vocabulary, style_label


def parse_text(text: str, vocabulary: Vocabulary) -> tuple[Vocabulary, Tokens]:
    """Token ids of a text, and the vocabulary they belong to.

    A first word that the vocabulary does not know but that reads like a style (`chopin`) becomes one: the
    vocabulary that comes back has it. Raises VocabularyError at the first bad token.
    """
    first = text.split(maxsplit=1)[0] if text.split() else ""
    is_style = first == style_label(first) and not first.isdecimal() and first not in vocabulary.names
    if is_style and not vocabulary.styles:
        vocabulary = replace(vocabulary, styles=(first,))
    return vocabulary, vocabulary.from_text(text)
