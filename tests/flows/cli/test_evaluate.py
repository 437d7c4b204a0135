"""`musenet evaluate`: mistakes end in one line before anything is composed. `tests/docs` runs what the guide shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["champion", "--set", "request.style=bach"], "request.style is set by the evaluation; leave it out"),
        (["champion", "--set", "request.top_p=2"], "request.top_p = '2': Input should be less than or equal to 1"),
        (["champion", "--set", "note=3"], "no setting 'note'; nearest: 'notes'"),
    ],
)
def test_a_wrong_setting(
    words: list[str], message: str, command: Callable[..., Result], mistake: Callable[[Result], str]
) -> None:
    assert mistake(command("evaluate", *words)).endswith(message)


def test_a_folder_needs_a_dataset(
    command: Callable[..., Result], mistake: Callable[[Result], str], tmp_path: Path
) -> None:
    line = mistake(command("evaluate", tmp_path))
    assert line == f"{tmp_path} is a folder: name the dataset to compare with by --dataset"
    line = mistake(command("evaluate", tmp_path, "--dataset", "songs", "--against", "champion"))
    assert line == f"{tmp_path} is a folder: --against compares two models"
