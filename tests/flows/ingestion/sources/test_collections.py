"""Collections described by arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.ingestion.sources import Collection, StyleRule, collection_of
from infra.errors import UserError


class TestOfOneLocation:
    def test_it_is_absolute(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        assert collection_of("songs", "songs").location == str(tmp_path / "songs")
        assert collection_of("songs", "s3://bucket/songs").location == "s3://bucket/songs"

    def test_with_a_style(self) -> None:
        assert collection_of("songs", "/songs", style="Folk Rock").styles == (StyleRule(label="folk_rock"),)

    def test_refused_in_one_line(self) -> None:
        with pytest.raises(UserError, match=r"collection 'songs': styles.1.label: the label '\?' has neither"):
            collection_of("songs", "/songs", style="?")
        with pytest.raises(UserError, match=r"is not UTF-8; name the folder above it"):
            collection_of("songs", "/caf\udce9")


def test_keys_are_strict_in_code_too() -> None:
    with pytest.raises(ValidationError):
        Collection.model_validate({"name": "x", "location": "y", "path": "z"})
