"""Selection: the best evaluation so far, and the end of training without improvement."""

from __future__ import annotations

import math
from dataclasses import asdict

from modeling.training.evaluation import EvalMetrics
from modeling.training.selection import Selection


def metrics(nats: float) -> EvalMetrics:
    return EvalMetrics(nats_per_token=nats, nats_per_note=3 * nats, tokens=10, by_style={"bach": nats})


def after(*nats: float) -> Selection:
    """The selection after evaluations at steps 10, 20, …"""
    selection = Selection()
    for index, value in enumerate(nats):
        selection = selection.after(10 * (index + 1), metrics(value))
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
