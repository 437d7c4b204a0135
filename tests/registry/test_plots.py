"""The plots of a run: what was trained last of each step, and each style's losses."""

from __future__ import annotations

from pathlib import Path

from modeling.training.events import Evaluated, StepTrained, encode
from registry.plots import draw_training


def step(number: int, loss: float) -> StepTrained:
    rest = {
        "learning_rate": 0.1 / number,
        "gradient_norm": None,
        "tokens_per_second": 9.0,
        "mfu": 0.5,
        "memory_gb": 1.0,
    }
    return StepTrained(step=number, loss=loss, **rest)


def test_losses_by_step_and_style(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    assert draw_training(metrics) is None
    losses = {"bach": 2.0, "jazz": 3.0}
    evaluation = Evaluated(step=2, best=True, nats_per_token=2.5, nats_per_note=5.0, tokens=9, by_style=losses)
    # Step 2 was trained twice: its first attempt was interrupted before a checkpoint.
    events = [step(1, 9.0), step(2, 7.0), step(2, 8.0), evaluation]
    metrics.write_bytes(b"".join(map(encode, events)))
    figure = draw_training(metrics)
    assert figure is not None
    loss, rate, styles = figure.axes
    assert loss.lines[0].get_xydata().tolist() == [[1, 9.0], [2, 8.0]]
    assert loss.lines[1].get_xydata().tolist() == [[2, 2.5]]
    assert rate.lines[0].get_ydata().tolist() == [0.1, 0.05]
    assert [(line.get_label(), line.get_ydata().tolist()) for line in styles.lines] == [
        ("jazz", [3.0]),
        ("bach", [2.0]),
    ]
