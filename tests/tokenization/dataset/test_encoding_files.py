"""`vocabulary.json` and `encoding.json`: an encoding beside the weights that were trained on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokenization.dataset.encoding_files import EncodingInfo, read_encoding, write_encoding
from tokenization.encodings import ENCODINGS, Time, get_encoding
from tokenization.vocabulary import Vocabulary


@pytest.mark.parametrize("time", Time)
@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_is_read_as_it_was_written(name: str, time: Time, vocabulary: Vocabulary, tmp_path: Path) -> None:
    written = get_encoding(name, vocabulary, time)
    write_encoding(tmp_path, written)
    encoding = read_encoding(tmp_path)
    assert (encoding.name, encoding.time, encoding.vocabulary) == (name, time, written.vocabulary)


def test_the_file_names_encoding_version_and_time(vocabulary: Vocabulary, tmp_path: Path) -> None:
    write_encoding(tmp_path, get_encoding("onset", vocabulary, Time.BEATS))
    content = json.loads((tmp_path / "encoding.json").read_text())
    assert content == {"name": "onset", "version": ENCODINGS["onset"].version, "time": "beats"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "morse", "version": 1, "time": "beats"}'])
def test_files_that_hold_no_encoding_are_refused(content: str, vocabulary: Vocabulary, tmp_path: Path) -> None:
    write_encoding(tmp_path, get_encoding("combined", vocabulary))
    (tmp_path / "encoding.json").write_text(content)
    with pytest.raises(ValueError, match=r"EncodingInfo|no encoding 'morse'"):
        read_encoding(tmp_path)


def test_an_encoding_over_another_vocabulary(vocabulary: Vocabulary) -> None:
    info = EncodingInfo.of(get_encoding("onset", vocabulary, Time.BEATS))
    other = Vocabulary.load("general_midi")
    encoding = info.over(other)
    assert (encoding.name, encoding.time, encoding.vocabulary) == ("onset", Time.BEATS, other)
