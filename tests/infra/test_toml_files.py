"""TOML files: read as data or as a model, and one message that names file, place and fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from infra.errors import UserError
from infra.toml_files import read_toml, toml_content


class Tune(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: str
    bars: int = 8


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tune.toml"


def test_a_file_is_its_content_and_the_defaults_that_it_leaves_out(file: Path) -> None:
    file.write_text("bars = 4\n")
    assert toml_content(file) == {"bars": 4}
    assert read_toml(file, Tune, {"title": "tune", "bars": 2}) == Tune(title="tune", bars=4)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"title = tune", " is not valid TOML: Invalid value (at line 1, column 9)"),
        (b"title = '\xff'", " is not valid TOML: 'utf-8' codec can't decode byte 0xff in position 9"),
        (b"title = 'a'\nbars = 'four'", ": bars = 'four': Input should be a valid integer"),
        (b"titel = 'a'", ": no setting 'titel'; nearest: 'title'"),
        (None, " cannot be read: No such file or directory"),
    ],
)
def test_a_fault_is_named_with_the_file(file: Path, content: bytes | None, fault: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_toml(file, Tune)
    assert str(raised.value).startswith(f"{file}{fault}")
    assert "\n" not in str(raised.value)
