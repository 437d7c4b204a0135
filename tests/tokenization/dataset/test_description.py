"""`dataset.json`: its content, and files of other formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tokenization.dataset.description import FORMAT, DatasetError, Description, parse_description, write_description
from tokenization.encodings.combined import Combined

UNNUMBERED = """{
 "name": "starter",
 "digest": "c998a8529031c998a8529031c998a852",
 "input_key": "5deb7e9422e4be543b9e9ea835b50e47",
 "parent": null,
 "created": "2026-11-22T20:46:55.123+00:00",
 "encoding": {"name": "combined", "version": 1, "time": "seconds"},
 "vocabulary": {"name": "musenet", "digest": "ab12"},
 "settings": {"splits": {"validation": 0.1, "test": 0.1, "seed": 0}, "tokens": {"units": null}, "max_bytes": 16777216},
 "files": 3,
 "fates": {"accepted": 2, "quarantined: not_midi": 1},
 "ignored": {"songs": {".txt": 1}},
 "pieces": {"train": 1, "validation": 1, "test": 0},
 "variants": {"train": 2, "validation": 1, "test": 0},
 "tokens": {"train": 200, "validation": 90, "test": 0},
 "notes": 80,
 "hours": 0.011,
 "styles": {"(none)": 1, "bach": 1},
 "licences": ["CC0"],
 "families": {"families": 2, "members": 2, "largest": 1},
 "repairs": {"truncated": 1},
 "statistics": {"pieces": 2},
 "shards": {"validation/00000.parquet": "cd34", "train/00000.parquet": "ef56"}
}
"""
"""A file of the release that gave no number."""


def changed(text: str, **changes: Any) -> bytes:
    content = {**json.loads(text), **changes}
    return json.dumps({key: value for key, value in content.items() if value is not ...}).encode()


class TestRoundTrip:
    def test_a_description_is_read_as_it_was_written(
        self, tmp_path: Path, encoding: Combined, make_description: Callable[..., Description]
    ) -> None:
        description = make_description(encoding, parent="ab" * 16, outcomes={"accepted": 2}, hours=1.5)
        write_description(tmp_path, description)
        assert parse_description((tmp_path / "dataset.json").read_bytes(), tmp_path) == description

    def test_the_file_is_plain_json_with_its_format(
        self, tmp_path: Path, encoding: Combined, make_description: Callable[..., Description]
    ) -> None:
        created = datetime(2026, 11, 28, 12, 30, 15, 250_900, tzinfo=UTC)
        write_description(tmp_path, make_description(encoding, created=created))
        content = json.loads((tmp_path / "dataset.json").read_text())
        assert content["format"] == FORMAT
        assert content["created"] == "2026-11-28T12:30:15.250+00:00"
        assert content["encoding"] == {"name": "combined", "version": encoding.version, "time": "seconds"}

    def test_the_shards_of_a_split_are_in_order(
        self, encoding: Combined, make_description: Callable[..., Description]
    ) -> None:
        shards = {"train/00001.parquet": "b", "test/00000.parquet": "c", "train/00000.parquet": "a"}
        description = make_description(encoding, shards=shards)
        assert list(description.shards_of("train").items()) == [
            ("train/00000.parquet", "a"),
            ("train/00001.parquet", "b"),
        ]
        assert description.shards_of("validation") == {}


class TestFormats:
    def test_a_file_without_a_number_is_upgraded(self) -> None:
        description = parse_description(UNNUMBERED.encode(), "songs")
        assert description.format == FORMAT
        assert description.outcomes == {"accepted": 2, "quarantined: not_midi": 1}
        assert description.reference == "starter@c998a8529031"
        assert description.created == datetime(2026, 11, 22, 20, 46, 55, 123_000, tzinfo=UTC)
        assert description.created.utcoffset() == timedelta(0)
        assert description.encoding.name == "combined"
        assert description.shards_of("train") == {"train/00000.parquet": "ef56"}
        again = parse_description(description.to_json().encode(), "songs")
        assert again == description

    def test_a_file_of_format_1_is_upgraded_without_what_it_did_not_record(self) -> None:
        first = {key: value for key, value in json.loads(UNNUMBERED).items() if key != "fates"}
        text = changed(json.dumps({**first, "outcomes": {"accepted": 3}, "format": 1, "licences": ["CC0", "MIT"]}))
        description = parse_description(text, "songs")
        assert description.format == FORMAT
        assert description.licences == {"CC0": None, "MIT": None}
        assert (description.collections, description.gates) == ([], [])
        assert parse_description(description.to_json().encode(), "songs") == description

    @pytest.mark.parametrize("number", [FORMAT + 1, -1, "one", None, 1.5])
    def test_another_number_is_refused_with_what_to_do(self, number: object) -> None:
        with pytest.raises(DatasetError) as error:
            parse_description(changed(UNNUMBERED, format=number), "/lake/songs/ab")
        expected = f"/lake/songs/ab/dataset.json has format {number!r}; this musenet reads formats up to {FORMAT}; "
        assert str(error.value) == expected + "install a newer one"

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"shards": ...}, "shards: Field required"),
            ({"files": "3"}, "files: Input should be a valid integer"),
            ({"encoding": {"name": "combined", "time": "seconds"}}, "encoding.version: Field required"),
            ({"encoding": {"name": "combined", "version": 1, "time": "years"}}, "encoding.time: Input should be"),
            ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
            ({"created": "2026-11-22T20:46:55"}, "created: Input should have timezone info"),
        ],
    )
    def test_a_file_that_lacks_something_is_refused_with_what_to_do(
        self, changes: dict[str, Any], problem: str
    ) -> None:
        with pytest.raises(DatasetError) as error:
            parse_description(changed(UNNUMBERED, **changes), "/lake/songs/ab")
        message = str(error.value)
        assert message.startswith(f"/lake/songs/ab/dataset.json is not of format 0 ({problem}")
        assert message.endswith("; delete /lake/songs/ab and ingest the collections again")
        assert "\n" not in message

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
    def test_a_damaged_file_is_refused_with_what_to_do(self, text: bytes) -> None:
        with pytest.raises(DatasetError) as error:
            parse_description(text, "/lake/songs/ab")
        assert str(error.value).startswith("/lake/songs/ab/dataset.json is damaged (")
        assert str(error.value).endswith("; delete /lake/songs/ab and ingest the collections again")
