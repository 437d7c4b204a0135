"""The text form as a person writes it."""

from __future__ import annotations

import pytest

from tokenization.text import parse_text
from tokenization.vocabulary import Vocabulary, VocabularyError

PLAIN = Vocabulary.load("musenet")


def test_a_first_word_that_reads_like_a_style_becomes_one() -> None:
    vocabulary, tokens = parse_text("chopin piano start tempo90 piano:v72:C4", PLAIN)
    assert vocabulary.styles == ("chopin",)
    assert vocabulary.to_text(tokens) == "chopin piano start tempo90 piano:v72:C4"
    assert tokens[0] == 4226


def test_a_known_first_word_is_what_it_is() -> None:
    vocabulary, tokens = parse_text("piano start piano:v72:C4", PLAIN)
    assert vocabulary == PLAIN
    assert tokens.tolist() == [4098 + 64, 4096, 7 * 128 + 60]


def test_a_vocabulary_with_styles_of_its_own_learns_no_others() -> None:
    with pytest.raises(VocabularyError, match=r"^token 0: 'chopin' is not known"):
        parse_text("chopin piano start", Vocabulary.load("musenet", ["bach"]))


def test_a_style_is_only_taken_in_front() -> None:
    with pytest.raises(VocabularyError, match=r"^token 1: 'chopin' is not known"):
        parse_text("piano chopin start", PLAIN)


def test_numbers_are_ids() -> None:
    vocabulary, tokens = parse_text("4162 4096 956", PLAIN)
    assert vocabulary.to_text(tokens) == "piano start piano:v72:C4"


def test_nothing_is_nothing() -> None:
    assert len(parse_text("  \n", PLAIN)[1]) == 0
