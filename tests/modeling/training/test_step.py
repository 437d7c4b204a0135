"""A training step: its random numbers are functions of seed, step and window. What it computes: `test_trainer.py`."""

from __future__ import annotations

from modeling.training.step import dropout_seed


def test_dropout_is_drawn_anew_for_each_step_and_window() -> None:
    seeds = {dropout_seed(seed, step, window) for seed in range(3) for step in range(20) for window in range(8)}
    assert len(seeds) == 3 * 20 * 8
    assert dropout_seed(1, 2, 3) == dropout_seed(1, 2, 3)
