"""Text as a person writes it: a style in front that the vocabulary need not know, words and numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokenization.vocabulary import Vocabulary, VocabularyError

PLAIN = Vocabulary.load("musenet")


def test_a_first_word_that_reads_like_a_style_is_taken_for_one() -> None:
    tokens = PLAIN.parse_text("chopin piano start tempo90 piano:v72:C4")
    # It takes the first slot.
    assert tokens.tolist() == [4226, 4098 + 64, 4096, 4745, 7 * 128 + 60]
    assert PLAIN.to_text(tokens) == "style#0 piano start tempo90 piano:v72:C4"


def test_a_known_first_word_is_what_it_is() -> None:
    assert PLAIN.parse_text("piano start piano:v72:C4").tolist() == [4098 + 64, 4096, 7 * 128 + 60]
    assert PLAIN.parse_text("no_style piano").tolist() == [PLAIN.no_style, 4098 + 64]


def test_a_vocabulary_with_styles_of_its_own_takes_no_others() -> None:
    with pytest.raises(VocabularyError, match=r"^token 0: 'chopin' is not known"):
        Vocabulary.load("musenet", ["bach"]).parse_text("chopin piano start")


def test_a_vocabulary_without_slots_takes_none() -> None:
    without = replace(PLAIN, file=PLAIN.file.model_copy(update={"style_slots": 0}))
    with pytest.raises(VocabularyError, match=r"^token 0: 'chopin' is not known"):
        without.parse_text("chopin piano start")


def test_a_style_is_only_taken_in_front() -> None:
    with pytest.raises(VocabularyError, match=r"^token 1: 'chopin' is not known"):
        PLAIN.parse_text("piano chopin start")


@pytest.mark.parametrize("word", ["piano:v72:C44", "Chopin", "-1", "wait:129", "a+b"])
def test_a_first_word_that_reads_like_no_style_is_a_bad_token(word: str) -> None:
    with pytest.raises(VocabularyError, match=r"^token 0"):
        PLAIN.parse_text(f"{word} start")


def test_numbers_are_ids() -> None:
    assert PLAIN.to_text(PLAIN.parse_text("4162 4096 956")) == "piano start piano:v72:C4"


def test_nothing_is_nothing() -> None:
    assert PLAIN.parse_text("  \n").tolist() == []
