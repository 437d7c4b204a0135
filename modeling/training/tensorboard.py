"""TensorBoard: the metrics of a run's events as scalars, written by rank 0 beside the run's other files.

Importing this module imports TensorBoard's writer, which only runs that ask for it pay for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.errors import UserError
from modeling.training.event_metrics import metrics_of
from modeling.training.events import Evaluated, Event, RunStarted, StepTrained

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    raise UserError(
        "training.tensorboard needs the package tensorboard: pip install 'musenet[tensorboard]', or leave it out"
    ) from error


class TensorBoard:
    """A writer of scalars. A resumed run hides the steps that it repeats."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def add(self, event: Event) -> None:
        """Write the numbers of a step or an evaluation; other events have none."""
        if isinstance(event, RunStarted):
            untyped: Any = SummaryWriter
            self._writer = untyped(str(self._folder), purge_step=event.step + 1 if event.step else None)
        if self._writer is None:  # a warning before the start
            return
        if isinstance(event, StepTrained | Evaluated):
            for name, value in metrics_of(event).items():
                self._writer.add_scalar(name, value, event.step, walltime=event.time)
        if not isinstance(event, StepTrained):
            self._writer.flush()
