"""`musenet sample`: its options are the fields of a request, and mistakes end in one line."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flows.cli import musenet
from flows.cli.sampling import sample
from modeling.config import DrawingConfig
from registry.requests import DEFAULT_LENGTH, PieceRequest

OPTIONS = {option.name: option for option in sample.params if isinstance(option, click.Option)}


def test_every_field_of_a_request_is_an_option() -> None:
    assert {*PieceRequest.model_fields} <= {*OPTIONS}


@pytest.mark.parametrize("name", PieceRequest.model_fields)
def test_its_help_names_the_default(name: str) -> None:
    own = dict.fromkeys(DrawingConfig.model_fields, "the model's")
    default = {"length": DEFAULT_LENGTH, "tempo": 120, **own}.get(name, PieceRequest.model_fields[name].default)
    named = re.search(r"\[default: (.*)\]", OPTIONS[name].help or "")
    assert (named[1] if named else None) == (None if default is False or default in (None, ()) else str(default))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--guidance", "0.5"], "'--guidance': 0.5 is not in the range x>=1"),
        (["--engine", "ray"], "--engine is for a table of requests: give one by --requests"),
        (["--requests", "a.csv", "--count", "2"], "--count is for one request; a table has a row for each piece"),
        (["--at", "3"], "--at is a place in an earlier sample: give one by --from"),
        (["--requests", "a.csv", "--from", "a.json"], "--from is for one request"),
        (["--again", "a.json", "--from", "b.json"], "it takes no --from"),
        (["--again", "a.json", "--seed", "3"], "--again makes the piece as a.json says; it takes no --seed"),
    ],
)
def test_wrong_usage_ends_with_status_2(words: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(musenet, ["sample", *words, "--lake", str(tmp_path)])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
