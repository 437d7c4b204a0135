"""Learned tokens: what they stand for, their text, and that each is told from all others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.vocabulary import Vocabulary, VocabularyError
from tokenization.vocabulary.learned_tokens import Expansion, LearnedKind, LearnedTokens

# Over ids 0–9: 10 is (1 2), 11 is (1 2) 3, 12 is (1 2)(1 2 3).
MERGES = LearnedTokens(LearnedKind.MERGE, ((1, 2), (10, 3), (10, 11)))
CHORDS = LearnedTokens(LearnedKind.CHORD, ((1, 4, 7), (), (2,)))


@st.composite
def merges(draw: st.DrawFn, base: int = 10) -> LearnedTokens:
    """Up to 12 merges of ids below `base` and of each other."""
    items: list[tuple[int, int]] = []
    for index in range(draw(st.integers(0, 12))):
        token = st.integers(0, base + index - 1)
        items.append((draw(token), draw(token)))
    return LearnedTokens(LearnedKind.MERGE, tuple(items))


class TestExpansion:
    def test_a_merge_is_expanded_to_the_end(self) -> None:
        assert MERGES.expand(10) == ((1, 2), (1, 2, 3), (1, 2, 1, 2, 3))

    def test_a_chord_is_its_notes_and_silence_none(self) -> None:
        assert CHORDS.expand(10) == ((1, 4, 7), (), (2,))

    def test_other_ids_stand_for_themselves(self) -> None:
        expansion = Expansion.of(MERGES, 10)
        assert expansion.sizes.tolist() == [1] * 10 + [2, 3, 5]
        expanded = [expansion.tokens[a:b].tolist() for a, b in zip(expansion.first[:-1], expansion.first[1:])]
        assert expanded == [*([token] for token in range(10)), [1, 2], [1, 2, 3], [1, 2, 1, 2, 3]]

    def test_none_learned(self) -> None:
        expansion = Expansion.of(LearnedTokens(), 3)
        assert expansion.tokens.tolist() == [0, 1, 2]
        assert expansion.first.tolist() == [0, 1, 2, 3]

    def test_silence_takes_no_place(self) -> None:
        assert Expansion.of(CHORDS, 10).sizes.tolist() == [1] * 10 + [3, 0, 1]

    @given(merges())
    def test_a_merge_stands_for_what_its_two_ids_stand_for(self, units: LearnedTokens) -> None:
        expansion = Expansion.of(units, 10)
        of = [expansion.tokens[a:b].tolist() for a, b in zip(expansion.first[:-1], expansion.first[1:])]
        assert of[:10] == [[token] for token in range(10)]
        assert of[10:] == [of[left] + of[right] for left, right in units.items]
        assert expansion.tokens.max() < 10


class TestNames:
    def test_they_are_named_by_what_they_stand_for(self) -> None:
        single = list("abcdefghij")
        assert MERGES.names(single) == ["b+c", "b+c+d", "b+c+b+c+d"]
        assert CHORDS.names(single) == ["chord(b+e+h)", "chord()", "chord(c)"]

    def test_in_a_vocabulary_they_follow_all_other_ids(self, vocabulary: Vocabulary) -> None:
        chords = replace(vocabulary, learned=LearnedTokens(LearnedKind.CHORD, ((60, 7 * 128 + 64), (956,))))
        assert (chords.learned_base, chords.size) == (vocabulary.size, vocabulary.size + 2)
        assert chords.names[: chords.learned_base] == vocabulary.names
        assert chords.names[chords.learned_base :] == ("chord(piano:v0:C4+piano:v72:E4)", "chord(piano:v72:C4)")

    def test_they_read_back(self, vocabulary: Vocabulary) -> None:
        merged = replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, ((956, 3979), (vocabulary.size, 60))))
        text = "start piano:v72:C4+wait:12 piano:v72:C4 piano:v72:C4+wait:12+piano:v0:C4"
        tokens = merged.from_text(text)
        assert tokens.tolist() == [4096, vocabulary.size, 956, vocabulary.size + 1]
        assert merged.to_text(tokens) == text

    def test_ids_beyond_them_are_none(self, vocabulary: Vocabulary) -> None:
        merged = replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, ((956, 3979),)))
        assert merged.from_text(str(vocabulary.size)).tolist() == [vocabulary.size]
        with pytest.raises(VocabularyError, match=r"^token 0: id 4765 is outside 0–4764$"):
            merged.from_text("4765")


class TestData:
    @pytest.mark.parametrize("units", [LearnedTokens(), MERGES, CHORDS, LearnedTokens(LearnedKind.CHORD)])
    def test_they_come_back_from_what_is_stored(self, units: LearnedTokens) -> None:
        assert LearnedTokens.from_dict(units.to_dict()) == units

    def test_none_stored_is_none(self) -> None:
        assert LearnedTokens.from_dict(None) == LearnedTokens()
        assert not LearnedTokens()

    @pytest.mark.parametrize("units", [MERGES, CHORDS, LearnedTokens(LearnedKind.CHORD)])
    def test_a_vocabulary_keeps_them(self, units: LearnedTokens, vocabulary: Vocabulary) -> None:
        learned = replace(
            vocabulary, learned=LearnedTokens(units.kind, tuple(i for i in units.items if max(i, default=0) < 10))
        )
        again = Vocabulary.from_json(learned.to_json())
        assert again == learned
        assert again.digest == learned.digest
        assert again.names == learned.names

    def test_they_are_part_of_what_ids_mean(self, vocabulary: Vocabulary) -> None:
        kinds = [
            LearnedTokens(),
            LearnedTokens(LearnedKind.MERGE, ((1, 2),)),
            LearnedTokens(LearnedKind.CHORD, ((1, 2),)),
        ]
        learned = [replace(vocabulary, learned=units) for units in kinds]
        assert len({each.digest for each in learned}) == 3
        assert len({each.fixed_digest for each in learned}) == 3

    @given(units=merges())
    def test_any_merges_are_told_apart_or_refused(self, units: LearnedTokens, vocabulary: Vocabulary) -> None:
        moved = [tuple(t if t < 10 else t - 10 + vocabulary.learned_base for t in item) for item in units.items]
        expanded = units.expand(10)
        if len(set(expanded)) == len(expanded):
            names = replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, tuple(moved))).names[
                vocabulary.learned_base :
            ]
            assert len(set(names)) == len(names)
            assert [name.count("+") + 1 for name in names] == [len(item) for item in expanded]
        else:
            with pytest.raises(VocabularyError, match="two learned tokens with the same expansion"):
                replace(vocabulary, learned=LearnedTokens(LearnedKind.MERGE, tuple(moved)))

    @pytest.mark.parametrize("item", [(), (1,), (1, 2, 3)])
    def test_a_merge_joins_two_ids(self, item: tuple[int, ...]) -> None:
        with pytest.raises(VocabularyError, match=f"learned token 1 joins {len(item)} ids, not two"):
            LearnedTokens(LearnedKind.MERGE, ((1, 2), item))

    def test_a_merge_of_merges_of_merges_has_an_end(self) -> None:
        doubled = LearnedTokens(LearnedKind.MERGE, tuple((np.int64(10 + i), np.int64(10 + i)) for i in range(-1, 60)))
        with pytest.raises(VocabularyError, match="learned token 12 stands for more than 4096 tokens"):
            doubled.expand(10)
