"""The trainer's own state, which checkpoints carry beside DeepSpeed's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from modeling.training.selection import Selection


@dataclass
class TrainingState:
    """The progress of a run."""

    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Time spent in training, earlier attempts included."""
    selection: Selection = field(default_factory=Selection)
    archive_seconds: float = 0.0
    """Of those spent on generations for the archive."""

    def to_checkpoint(self) -> dict[str, Any]:
        """Return the state as JSON values, without the step, which is the checkpoint's own."""
        return {
            "seconds": self.seconds,
            "selection": asdict(self.selection),
            "archive_seconds": self.archive_seconds,
        }

    @classmethod
    def from_checkpoint(cls, step: int, state: dict[str, Any]) -> TrainingState:
        """Return the state of a checkpoint's step, from what `to_checkpoint` returned."""
        return cls(step, state["seconds"], Selection(**state["selection"]), state.get("archive_seconds", 0.0))
