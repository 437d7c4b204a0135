"""Sweep files: what they may say, and mistakes found before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.sweeps.sweep_file import Range, read_sweep_file
from infra.errors import UserError

GOOD = """
dataset = "mine"
trials = 3

[training]
steps = 30

[search]
"training.learning_rate" = { low = 1e-3, high = 1e-2, log = true }
"model.layers" = [1, 2]
"training.warmup_steps" = { low = 1, high = 9, step = 2 }
"""


def test_a_file_says_what_is_fixed_and_what_is_searched(tmp_path: Path) -> None:
    (tmp_path / "Rates.toml").write_text(GOOD)
    file = read_sweep_file(tmp_path / "Rates.toml")
    assert (file.name, file.preset, file.trials, file.minimise) == ("rates", "tiny", 3, "nats_per_note")
    assert file.search["model.layers"] == [1, 2]
    assert file.search["training.learning_rate"] == Range(low=1e-3, high=1e-2, log=True)
    assert file.fixed == {"training.steps": 30}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("trials = 3", "trails = 3"), "no setting 'trails'; nearest: 'trials'"),
        (('"model.layers"', '"model.layer"'), "no setting 'model.layer'; nearest: 'model.layers'"),
        (("steps = 30", "stepps = 30"), "no setting 'training.stepps'; nearest: 'training.steps'"),
        (("[1, 2]", "[1]"), "search.model.layers is a list of 1: give two values at least"),
        (("low = 1e-3", "low = 1"), "low = 1 must be below high = 0.01"),
        (("low = 1e-3", "low = 0.0"), "log = true takes bounds above 0 and no step"),
        (("step = 2", "step = 0.5"), "step = 0.5 must be above 0, and whole between whole bounds"),
        (('dataset = "mine"', ""), "dataset: Field required"),
        (("[search]", "[search"), "is not valid TOML"),
    ],
)
def test_a_mistake_is_named(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    file = tmp_path / "rates.toml"
    file.write_text(GOOD.replace(*change))
    with pytest.raises(UserError) as caught:
        read_sweep_file(file)
    assert str(file) in str(caught.value) and message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_sweep_file(tmp_path / "rates.toml")
