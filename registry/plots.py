"""Plots of a training run, as MLflow shows them among its files: one picture to look at before any chart is set up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modeling.training.events import Evaluated, StepTrained, read_new_events

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "plots/training.png"
INCHES = (9.0, 10.0)
SMOOTHED = 40
"""Parts of a run over which the loss is averaged for the line."""
MOST_STYLES = 20
"""Styles with a line of their own."""


def draw_training(metrics: Path) -> Figure | None:
    """Draw loss, learning rate and the validation loss by style over the steps; None before the first step."""
    events, _ = read_new_events(metrics, 0)
    # Of a step that was repeated after an interruption, the last one: its weights are those that went on.
    steps = [*{event.step: event for event in events if isinstance(event, StepTrained)}.values()]
    evaluations = [*{event.step: event for event in events if isinstance(event, Evaluated)}.values()]
    if not steps:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second, at the end of a run only
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    upper, middle, lower = figure.subplots(3, sharex=True, height_ratios=(3, 1, 3))
    at = np.array([event.step for event in steps])
    _loss(upper, at, np.array([event.loss for event in steps]), evaluations)
    middle.plot(at, [event.learning_rate for event in steps], color="0.3")
    middle.set_ylabel("learning rate")
    _styles(lower, evaluations)
    lower.set_xlabel("step")
    for axes in (upper, middle, lower):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _loss(axes: Axes, at: NDArray[np.int64], loss: NDArray[np.float64], evaluations: Sequence[Evaluated]) -> None:
    width = max(len(loss) // SMOOTHED, 1)
    axes.plot(at, loss, color="C0", alpha=0.3, linewidth=0.8)
    if len(loss) > width > 1:
        mean = np.convolve(loss, np.ones(width) / width, "valid")
        axes.plot(at[width // 2 :][: len(mean)], mean, color="C0", label="training, mean")
    else:
        axes.lines[0].set(label="training", alpha=1.0)
    if evaluations:
        points = [event.step for event in evaluations], [event.nats_per_token for event in evaluations]
        axes.plot(*points, "o-", color="C1", label="validation")
    axes.set_ylabel("loss, nats per token")
    axes.legend(frameon=False)


def _styles(axes: Axes, evaluations: Sequence[Evaluated]) -> None:
    """Draw a line for each style, the worst at the end first, so that the legend is in the order of the lines."""
    axes.set_ylabel("validation loss by style,\nnats per token")
    if not evaluations:
        return
    last = evaluations[-1].by_style
    for style in sorted(last, key=lambda name: -last[name])[:MOST_STYLES]:
        found = [(event.step, event.by_style[style]) for event in evaluations if style in event.by_style]
        axes.plot(*zip(*found), "o-", markersize=4, label=style.replace("_", " "))
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
