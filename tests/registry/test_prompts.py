"""Prompts: MIDI files and files of tokens become the tokens that a piece begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import UserError
from registry.prompts import Prompt
from registry.requests import PieceRequest
from tokenization.encodings import Encoding, get_encoding
from tokenization.vocabulary import Vocabulary

ALL = (None, None, None)
MUSIC = "piano:v72:C4 wait:48 piano:v0:C4 piano:v72:E4 wait:48 piano:v0:E4"
TEXT = f"bach piano start tempo90 {MUSIC}"


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return get_encoding("combined", Vocabulary.load("musenet", ["bach", "jazz"]))


def text_of(text: str, encoding: Encoding, part: tuple[int | None, float | None, float | None] = ALL) -> str:
    return encoding.vocabulary.to_text(Prompt(text.encode(), "tune.txt").tokens(encoding, *part))


class TestAFile:
    def test_that_cannot_be_used_says_why(self, tmp_path: Path, midi_fixtures: Path) -> None:
        with pytest.raises(UserError, match=r"nowhere\.mid cannot be read: No such file"):
            Prompt.of(PieceRequest(prompt=tmp_path / "nowhere.mid"))
        with pytest.raises(UserError, match=r"html_404\.mid cannot be used: not_midi"):
            Prompt.of(PieceRequest(prompt=midi_fixtures / "html_404.mid"))

    def test_of_midi_is_encoded_without_its_end(self, midi_fixtures: Path, encoding: Encoding) -> None:
        prompt = Prompt.of(PieceRequest(prompt=midi_fixtures / "ok_type0.mid"))
        assert prompt is not None
        assert (len(prompt.notes), prompt.suffix) == (8, ".mid")
        assert prompt.tokens(encoding, *ALL).tolist() == encoding.encode(prompt.notes)[:-1].tolist()
        assert len(encoding.decode(prompt.tokens(encoding, 3, None, None))) == 3
        assert Prompt.of(PieceRequest()) is None


class TestTokens:
    def test_are_taken_as_they_are_up_to_their_end(self, encoding: Encoding) -> None:
        for text in (TEXT, f"{TEXT} end", f"{TEXT} end piano:v72:C5", TEXT.replace(" ", "\n")):
            assert text_of(text, encoding) == TEXT
        assert Prompt(TEXT.encode(), "tune.txt").suffix == ".txt"

    def test_may_stop_while_a_note_sounds_or_behind_the_header(self, encoding: Encoding) -> None:
        for text in ("bach piano start tempo90 piano:v72:C4 wait:3", "bach piano start tempo90"):
            assert text_of(text, encoding) == text

    def test_without_a_header_get_one(self, encoding: Encoding) -> None:
        assert text_of(MUSIC, encoding) == f"no_style piano start tempo120 {MUSIC}"

    def test_may_be_ids(self, encoding: Encoding) -> None:
        ids = " ".join(map(str, encoding.vocabulary.from_text(TEXT).tolist()))
        assert text_of(ids, encoding) == TEXT

    def test_of_which_a_part_is_wanted(self, encoding: Encoding) -> None:
        first = "bach piano start tempo90 piano:v72:C4 wait:48 piano:v0:C4"
        assert text_of(TEXT, encoding, (1, None, None)) == first
        assert text_of(TEXT, encoding, (None, 0.5, None)) == first

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (f"chopin {TEXT[5:]}", "token 0: 'chopin' is not known"),
            (f"{TEXT} pjano:v72:C4", "token 10: 'pjano:v72:C4' is not known; nearest: 'piano:v72:C4'"),
            ("bach start tempo90 piano:v72:C4", "must begin with style, instruments, start and tempo"),
            ("piano bach start tempo90 piano:v72:C4", "must begin with style, instruments, start and tempo"),
            (f"{TEXT} bach", "token 10: 'bach' may not stand within the music"),
            (f"{TEXT} {TEXT}", "token 10: 'bach' may not stand within the music"),
            ("wait:48", "the tokens contain no note"),
        ],
    )
    def test_that_are_no_piece_of_the_vocabulary_are_refused(self, text: str, message: str, encoding: Encoding) -> None:
        with pytest.raises(UserError, match=message) as caught:
            text_of(text, encoding)
        assert str(caught.value).startswith("the prompt tune.txt cannot be used: ")
