"""Selection: which evaluation was the best so far, its weights, and whether training has stopped getting better.

The weights of a run's best evaluation become its model. They are kept by the step they are of, so a run that goes
back to an earlier checkpoint finds those that the checkpoint knew.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from modeling.training.evaluation import HeldOut

HELD_OUT_FILE = "held_out.json"


@dataclass(frozen=True)
class Selection:
    """What the evaluations so far say; JSON values, part of every checkpoint."""

    best_step: int | None = None
    best_nats: float = math.inf
    """Nats per token of the best evaluation."""
    since: int = 0
    """Evaluations since the best one."""

    def after(self, step: int, held_out: HeldOut) -> Selection:
        """With one evaluation more. One that is no number is never the best."""
        if held_out.nats_per_token < self.best_nats:
            return Selection(step, held_out.nats_per_token)
        return replace(self, since=self.since + 1)

    def is_plateau(self, patience: int | None) -> bool:
        """Whether so many evaluations in a row were no better."""
        return patience is not None and self.since >= patience


def weights_folder(folder: Path, step: int) -> Path:
    """Where the weights of a step are, or will be, below the folder of the best ones."""
    return folder / f"step{step:08d}"


def write_held_out(held_out: HeldOut, step: int, folder: Path) -> None:
    """Put beside weights what they were measured to be worth."""
    text = json.dumps({"step": step, **asdict(held_out)}, indent=1) + "\n"
    (folder / HELD_OUT_FILE).write_text(text, encoding="utf-8")


def read_held_out(folder: Path) -> tuple[int, HeldOut]:
    """What `write_held_out` wrote: the step, and its figures."""
    content = json.loads((folder / HELD_OUT_FILE).read_text(encoding="utf-8"))
    return content.pop("step"), HeldOut(**content)


def prune_weights(folder: Path, needed: set[int]) -> None:
    """Remove all weights but those of the steps that something still refers to."""
    keep = {weights_folder(folder, step) for step in needed}
    for path in folder.glob("*step*"):
        if path not in keep:
            shutil.rmtree(path)
