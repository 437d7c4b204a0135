"""Rows of two vocabularies' tables: related by name, wherever they stand."""

from __future__ import annotations

from typing import Any

from tokenization.vocabulary import NEW, PITCHES, LearnedKind, LearnedTokens, Mapping, Vocabulary, missing

PIANO = {"name": "piano", "group": "piano", "output_program": 0, "rows": [0, 64]}
FLUTE = {"name": "flute", "group": "winds", "output_program": 73, "rows": [80, 0], "programs": [73]}
DRUMS = {"name": "drums", "group": "drums", "output_program": 0, "rows": [80], "drum": True}


def made(instruments: list[dict[str, Any]], groups: list[str], styles: list[str], **changes: Any) -> Vocabulary:
    clock = {"ticks_per_second": 96, "ticks_per_beat": 48, "max_wait": 4, "style_slots": 3, "tempos": [60]}
    file = {"name": "test", **clock, "groups": groups, "instruments": instruments, **changes}
    return Vocabulary.from_dict({**file, "styles": styles})


SMALL = made([PIANO, DRUMS], ["drums", "piano"], ["bach", "jazz"])


def test_a_vocabulary_is_mapped_to_itself(vocabulary: Vocabulary) -> None:
    found = Mapping.between(vocabulary, vocabulary)
    assert found.tokens.tolist() == list(range(vocabulary.size))
    assert found.notes.tolist() == list(range(len(vocabulary.row_velocity)))
    assert found.groups.tolist() == list(range(8))
    assert found.styles.tolist() == list(range(vocabulary.style_slots + 1))
    assert missing(vocabulary, vocabulary) == []


def test_styles_are_found_in_any_order_and_new_ones_begin_as_none_given() -> None:
    other = made([PIANO, DRUMS], ["drums", "piano"], ["jazz", "polka"])
    found = Mapping.between(SMALL, other)
    names = other.names
    assert [SMALL.names[found.tokens[names.index(name)]] for name in ("jazz", "polka", "start")] == [
        "jazz",
        "no_style",
        "start",
    ]
    assert found.styles.tolist() == [1, 3, 2, 3], "a free slot stays one"
    assert missing(SMALL, other) == [], "each dataset has styles of its own"


def test_a_vocabulary_that_has_grown_keeps_all_it_had() -> None:
    grown = made([PIANO, FLUTE, DRUMS], ["drums", "piano", "winds"], ["bach"], max_wait=5)
    found = Mapping.between(SMALL, grown)
    assert found.notes.tolist() == [0, 1, NEW, NEW, 2]
    assert found.groups.tolist() == [0, 1, NEW, 2]
    assert found.tokens[: 2 * PITCHES].tolist() == list(range(2 * PITCHES))
    for word in ("wait:4", "piano_drums", "tempo60", "pad", "drums:v80:C2"):
        assert found.tokens[grown.names.index(word)] == SMALL.names.index(word)
    for word in ("wait:5", "winds", "winds_piano_drums", "flute:v80:C4"):
        assert found.tokens[grown.names.index(word)] == NEW
    assert missing(SMALL, grown) == []
    assert missing(grown, SMALL)[:2] == ["flute:v80:C-1", "flute:v80:C#-1"]
    assert {"wait:5", "winds"} <= {*missing(grown, SMALL)}


def test_learned_tokens_are_known_by_what_they_stand_for(vocabulary: Vocabulary) -> None:
    one, two, three = (60, vocabulary.wait_base + 12), (64, vocabulary.wait_base + 12), (60, 64)

    def learning(*items: tuple[int, ...]) -> Vocabulary:
        return Vocabulary(vocabulary.file, vocabulary.styles, LearnedTokens(LearnedKind.MERGE, items))

    found = Mapping.between(learning(one, two), learning(two, three, one))
    base = vocabulary.learned_base
    assert found.tokens[base:].tolist() == [base + 1, NEW, base]
    assert len(missing(learning(one, two), learning(two))) == 1
