"""Wishes: what can be asked for, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from modeling.controls import Controls
from modeling.controls.keys import parse_key

C_MAJOR = [0, 2, 4, 5, 7, 9, 11]


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("C", C_MAJOR),
        ("c major", C_MAJOR),
        ("Am", [0, 2, 4, 5, 7, 8, 9, 11]),
        ("A minor", [0, 2, 4, 5, 7, 8, 9, 11]),
        ("Bb", [0, 2, 3, 5, 7, 9, 10]),
        ("F#m", [1, 2, 4, 5, 6, 8, 9, 11]),
    ],
)
def test_a_key_is_a_note_and_a_mode(text: str, classes: list[int]) -> None:
    assert parse_key(text).nonzero()[0].tolist() == classes


@pytest.mark.parametrize("text", ["", "H", "C dorian", "Cm major", "C##"])
def test_another_key_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="write a note and major or minor"):
        Controls(key=text)


@pytest.mark.parametrize(
    ("wishes", "complaint"),
    [
        ({"lowest": 70, "highest": 60}, "lowest pitch, 70, is above the highest, 60"),
        ({"softest": 90, "loudest": 20}, "softest velocity, 90, is above the loudest, 20"),
        ({"density": 0}, "greater than 0"),
        ({"volume": 3}, "not permitted"),
    ],
)
def test_impossible_wishes_are_refused(wishes: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Controls.model_validate(wishes)
