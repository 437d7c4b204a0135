"""Byte-pair merges by hand, and against the definition."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.encodings import HEADER, Encoding, get_encoding, learn_tokens
from tokenization.encodings.byte_pairs import LONGEST, MIN_FREQUENCY, learn_merges
from tokenization.vocabulary import Tokens, Vocabulary
from tokenization.vocabulary.learned_tokens import LearnedKind, LearnedTokens

C4, D4, WAIT = "piano:v72:C4", "piano:v72:D4", "wait:12"


def over(vocabulary: Vocabulary, *merges: tuple[str, str]) -> Encoding:
    """`onset_bpe` with these merges; the text of an earlier one may stand for it."""
    items: tuple[tuple[int, int], ...] = ()
    for pair in merges:
        known = replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, items))
        left, right = known.from_text(" ".join(pair)).tolist()
        items = (*items, (left, right))
    return get_encoding("onset_bpe", replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, items)))


def plain(vocabulary: Vocabulary, body: str) -> Tokens:
    return vocabulary.from_text(f"bach piano start tempo120 {body} end")


def shortened(encoding: Encoding, body: str) -> str:
    tokens = encoding.merge(plain(encoding.vocabulary, body))
    return encoding.vocabulary.to_text(tokens[HEADER:-1])


class TestMerging:
    def test_a_pair_becomes_one_token(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, (C4, WAIT))
        assert shortened(encoding, f"{C4} {WAIT} {D4} {C4} {WAIT}") == f"{C4}+{WAIT} {D4} {C4}+{WAIT}"

    def test_merges_of_merges(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, (C4, WAIT), (f"{C4}+{WAIT}", D4))
        assert shortened(encoding, f"{C4} {WAIT} {D4} {WAIT} {C4} {WAIT}") == f"{C4}+{WAIT}+{D4} {WAIT} {C4}+{WAIT}"

    def test_the_merge_that_was_learned_first_comes_first(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, (WAIT, D4), (C4, WAIT))
        assert shortened(encoding, f"{C4} {WAIT} {D4}") == f"{C4} {WAIT}+{D4}"

    def test_header_and_end_are_no_part_of_it(self, vocabulary: Vocabulary) -> None:
        encoding = over(vocabulary, ("tempo120", C4), (C4, "end"))
        assert shortened(encoding, C4) == C4

    @given(data=st.data())
    def test_it_is_the_textbooks(self, data: st.DataObject, vocabulary: Vocabulary) -> None:
        """The lowest merge that fits is done wherever it fits, from the left, until none fits."""
        encoding = over(vocabulary, (C4, WAIT), (WAIT, D4), (f"{C4}+{WAIT}", D4), (D4, D4), (WAIT, WAIT))
        words = data.draw(st.lists(st.sampled_from([C4, D4, WAIT]), max_size=30))
        ids = vocabulary.from_text(" ".join(words)).tolist()
        for number, (left, right) in enumerate(encoding.vocabulary.learned.items):
            merged: list[int] = []
            for token in ids:
                fits = merged and (merged[-1], token) == (left, right)
                merged = [*merged[:-1], vocabulary.learned_base + number] if fits else [*merged, token]
            ids = merged
        found = encoding.merge(plain(encoding.vocabulary, " ".join(words)))
        assert found[HEADER:-1].tolist() == ids


class TestLearning:
    def test_the_most_frequent_pair_comes_first(self, vocabulary: Vocabulary) -> None:
        pieces = [plain(vocabulary, f"{C4} {WAIT} " * MIN_FREQUENCY + f"{D4} wait:7 " * (MIN_FREQUENCY - 1))]
        units = learn_merges(pieces, vocabulary, 1)
        assert units.names(vocabulary.names) in ([f"{C4}+{WAIT}"], [f"{WAIT}+{C4}"])

    def test_rare_pairs_are_not_learned(self, vocabulary: Vocabulary) -> None:
        assert not learn_merges([plain(vocabulary, f"{C4} {WAIT} " * (MIN_FREQUENCY - 1))], vocabulary, 10)

    def test_no_merge_is_longer_than_the_longest(self, vocabulary: Vocabulary) -> None:
        units = learn_merges([plain(vocabulary, f"{C4} " * 5000)], vocabulary, 100)
        assert max(len(item) for item in units.expand(vocabulary.learned_base)) <= LONGEST

    def test_no_header_is_learned(self, vocabulary: Vocabulary) -> None:
        units = learn_merges([plain(vocabulary, C4)] * 100, vocabulary, 10)
        assert not units

    def test_the_same_pieces_give_the_same_merges(self, vocabulary: Vocabulary) -> None:
        pieces = [plain(vocabulary, f"{C4} {WAIT} {D4} wait:{wait} " * 9) for wait in range(1, 30)]
        assert learn_merges(pieces, vocabulary, 50) == learn_merges(pieces, vocabulary, 50)


@pytest.mark.parametrize("name", ["combined", "onset"])
def test_a_plain_encoding_learns_nothing(name: str, vocabulary: Vocabulary) -> None:
    encoding = get_encoding(name, vocabulary)
    assert learn_tokens(encoding, [plain(vocabulary, C4)], 100) is encoding
