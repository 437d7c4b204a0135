"""The parent of a run: the model whose weights it begins with, and what that model knows of the held-out pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from modeling.config.base import StrictModel
from modeling.config.model import ModelConfig

LEAKS_FILE: Final = "leaks.json"
"""Beside the files of the parent in the folder of a run."""
FREE: Final = ("dropout", "critic", "recompute")
"""Settings of a model that may differ from its parent's: no weight of the network depends on them."""
OF_VOCABULARY: Final = ("vocabulary_size", "note_tokens", "header", "ticks_per_beat")
"""Settings that follow from the dataset; `tokenization.vocabulary.Mapping` relates the rows that these count."""


class ParentModel(StrictModel):
    """The model whose weights a run begins with."""

    weights: str
    """Digest of its weights, shape and vocabulary, by which models are the same under any name."""
    name: str
    """In words: `version 3`, `run 0123456789ab`, `starter.tar`."""
    version: str | None = None
    """Its number in the registry of the run; None for a run or a file."""
    run: str | None = None
    """Id of the run that trained it, where that is known."""
    dataset: str | None = None
    """`name@digest` of the dataset version that it was trained on, where that is known."""
    preset: str | None = None

    @property
    def in_words(self) -> str:
        """Its name, with run and dataset where they are known: `version 3 (run 0123456789ab on songs@ab…)`."""
        if self.run is None or self.dataset is None:
            return self.name
        of_run = "" if self.name == f"run {self.run}" else f"run {self.run} "
        return f"{self.name} ({of_run}on {self.dataset})"


class SplitLeaks(StrictModel):
    """The pieces of a held-out split that a model was trained on, or whose relatives it was."""

    pieces: int
    """Of the whole split."""
    leaked: tuple[str, ...] = ()
    """SHA-256 of their files."""


class Leaks(StrictModel):
    """The held-out pieces of a dataset version that a model knows already."""

    complete: bool
    """False if it may know more of them: of some of its training pieces nothing is known."""
    validation: SplitLeaks
    test: SplitLeaks

    @classmethod
    def read(cls, folder: Path) -> Leaks | None:
        """Read those in the folder of a run's parent; None for a run without a parent."""
        file = folder / LEAKS_FILE
        return cls.model_validate_json(file.read_bytes()) if file.exists() else None

    def write(self, folder: Path) -> None:
        """Write `leaks.json`. Not atomic: write into a staging folder."""
        (folder / LEAKS_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @property
    def line(self) -> str:
        """What is to be said of it in one line; empty where all is known to be clean."""
        found = [
            f"{len(split.leaked)} of {split.pieces} {name} pieces"
            for name, split in (("validation", self.validation), ("test", self.test))
            if split.leaked
        ]
        unknown = "what the parent was trained on is not wholly known, so held-out pieces may be among it"
        if not found:
            return "" if self.complete else unknown
        known = f"{' and '.join(found)}, or relatives of them, are among what the parent was trained on"
        rest = "losses are given of the clean ones, and of all"
        if not self.validation.leaked:
            rest = "the validation pieces are clean"
        elif len(self.validation.leaked) == self.validation.pieces:
            rest = "no validation piece is clean: the loss says how well the model remembers, not what it has learned"
        return f"{known}: {rest}{'' if self.complete else f'; {unknown}'}"


def shape_difference(parent: ModelConfig, child: ModelConfig) -> str:
    """Describe in one line by which settings a parent's weights do not fit a model; empty if they do.

    Rotary positions fit any context.
    """
    before, after = _shape(parent), _shape(child)
    if parent.positions == child.positions == "rotary":
        del before["context"], after["context"]
    if parent.sparsity.mode == child.sparsity.mode == "dense":  # the other settings of a layout have no effect
        after = {name: value for name, value in after.items() if not name.startswith("sparsity.")}
    differing = [name for name in after if before[name] != after[name]]
    return ", ".join(f"model.{name} is {_text(after[name])}, not {_text(before[name])}" for name in differing)


def as_shape(parent: ModelConfig, child: ModelConfig) -> ModelConfig:
    """Return the configuration of a parent for another dataset, with the settings of `child` that may differ."""
    kept = {name: getattr(child, name) for name in (*FREE, *OF_VOCABULARY)}
    backend = parent.sparsity.model_copy(update={"backend": child.sparsity.backend})
    return parent.model_copy(update={**kept, "sparsity": backend})


def _shape(model: ModelConfig) -> dict[str, Any]:
    shape = model.model_dump(mode="json", exclude={*FREE, *OF_VOCABULARY})
    shape |= {f"sparsity.{name}": value for name, value in shape.pop("sparsity").items() if name != "backend"}
    shape["kv_heads"] = shape["kv_heads"] or model.heads
    return {**shape, "structure": sorted(shape["structure"])}


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
