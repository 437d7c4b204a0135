"""The onset encoding by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tokenization.encodings import HEADER, get_encoding
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

MakeNotes = Callable[..., Notes]


def test_only_starts_are_written(vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
    rows = [
        (0, 0.5, 60, 72, 0, False),
        (0, 2.0, 64, 72, 0, False),
        (0.5, 0.25, 67, 100, 40, False),
        (1, 0, 36, 9, 0, True),
    ]
    tokens = get_encoding("onset", vocabulary).encode(make_notes(rows), "bach")
    assert vocabulary.to_text(tokens) == (
        "bach piano_strings_drums start tempo120 "
        "piano:v72:C4 piano:v72:E4 wait:48 violin:v80:G4 wait:48 drums:v80:C2 end"
    )


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        # onset and duration in ticks, pitch
        ("piano:v72:C4 wait:24 piano:v72:D4", [(0, 24, 60), (24, 96, 62)]),
        ("piano:v72:C4 wait:24 piano:v0:C4 wait:24 piano:v72:C4", [(0, 48, 60), (48, 96, 60)]),
        ("piano:v72:C4 piano:v80:C4", [(0, 96, 60)]),
        ("drums:v80:C2 wait:2 drums:v80:C2", [(0, 12, 36), (2, 12, 36)]),
    ],
    ids=["a note lasts until the next", "note-offs mean nothing", "twice at one time is once", "drums last as ever"],
)
def test_decoding(text: str, notes: list[tuple[int, int, int]], vocabulary: Vocabulary) -> None:
    found = get_encoding("onset", vocabulary).decode(vocabulary.from_text(f"bach piano start tempo120 {text} end"))
    times = ((column * 96).round().astype(int).tolist() for column in (found.onset, found.duration))
    assert list(zip(*times, found.pitch.tolist())) == notes


def test_half_the_tokens_of_combined_at_most_but_for_waits(vocabulary: Vocabulary, make_notes: MakeNotes) -> None:
    notes = make_notes([(i, 0.5, 60, 72, 0, False) for i in range(10)])
    onset, combined = (get_encoding(name, vocabulary).encode(notes) for name in ("onset", "combined"))
    assert (len(onset) - HEADER - 1, len(combined) - HEADER - 1) == (19, 39)
