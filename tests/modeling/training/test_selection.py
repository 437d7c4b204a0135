"""Selection: the best evaluation's weights become the model, and training ends when it no longer gets better."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest

from modeling.training.evaluation import HeldOut
from modeling.training.selection import Selection, prune_weights, read_held_out, weights_folder, write_held_out


def held_out(nats: float) -> HeldOut:
    return HeldOut(nats_per_token=nats, nats_per_note=3 * nats, tokens=10, by_style={"bach": nats})


def after(*nats: float) -> Selection:
    """The selection after evaluations at steps 10, 20, …"""
    selection = Selection()
    for index, value in enumerate(nats):
        selection = selection.after(10 * (index + 1), held_out(value))
    return selection


class TestTheBest:
    def test_is_the_lowest_so_far(self) -> None:
        assert after(3.0, 2.0, 2.5).best_step == 20
        assert after(3.0, 2.0, 1.5) == Selection(30, 1.5)

    def test_is_the_first_of_equals(self) -> None:
        assert after(2.0, 2.0).best_step == 10

    def test_is_never_one_that_is_no_number(self) -> None:
        assert after(math.nan).best_step is None
        assert after(2.0, math.nan, 1.0).best_step == 30

    def test_comes_back_from_a_checkpoint(self) -> None:
        selection = after(3.0, 2.0, 2.5)
        assert Selection(**asdict(selection)) == selection


class TestAPlateau:
    def test_is_so_many_evaluations_without_a_better_one(self) -> None:
        assert not after(2.0, 3.0).is_plateau(2)
        assert after(2.0, 3.0, 2.5).is_plateau(2)
        assert not after(2.0, 3.0, 1.0).is_plateau(2)

    def test_is_never_reached_without_patience(self) -> None:
        assert not after(1.0, *[2.0] * 50).is_plateau(None)


class TestWeights:
    def test_of_steps_that_nothing_refers_to_are_removed(self, tmp_path: Path) -> None:
        for step in (10, 20, 30):
            weights_folder(tmp_path, step).mkdir()
        (tmp_path / ".step00000020.123").mkdir()  # left by a process that was killed
        prune_weights(tmp_path, {10, 30})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["step00000010", "step00000030"]

    def test_say_what_they_are_worth(self, tmp_path: Path) -> None:
        write_held_out(held_out(2.5), 20, tmp_path)
        assert read_held_out(tmp_path) == (20, held_out(2.5))


@pytest.mark.parametrize("step", [0, 12345678])
def test_folders_sort_by_step(step: int, tmp_path: Path) -> None:
    assert weights_folder(tmp_path, step).name == f"step{step:08d}"
