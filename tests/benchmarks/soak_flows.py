"""The flows of the soak: each with parameters that make new work every time, small enough for seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infra.lake import Lake
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

NAME = "soak"
"""Of the dataset."""
FIRST_FILES = 24
NOTES = 60
TRAINING = {
    "model.layers": 1,
    "model.heads": 2,
    "model.d_model": 16,
    "model.context": 64,
    "training.steps": 120,
    "training.batch_size": 4,
    "training.micro_batch_size": 2,
    "training.checkpoint_every": 20,
    "training.evaluate_every": 60,
}
SHORT = {"length": 64, "best_of": 1}
"""A request."""

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """What the flows work on: a lake, a folder of MIDI files, and one for what they write elsewhere."""

    lake: Lake
    folder: Path

    @property
    def songs(self) -> Path:
        return self.folder / "songs"

    def drop(self, number: int) -> None:
        """Put a new file into the folder: a tune drawn by a number."""
        draw = np.random.default_rng(number)
        columns = (np.arange(NOTES) / 4, np.full(NOTES, 0.2), draw.integers(48, 84, NOTES))
        notes = Notes.from_columns(*columns, [80] * NOTES, [0] * NOTES, [False] * NOTES)
        style = self.songs / ("bach" if number % 2 else "jazz")
        style.mkdir(parents=True, exist_ok=True)
        (style / f"{number}.mid").write_bytes(write_midi(notes))


def ingest(place: Place, number: int) -> Parameters:
    place.drop(FIRST_FILES + number)
    collection = {"name": "songs", "location": str(place.songs), "licence": "CC0"}
    return {"collections": [collection], "name": NAME, "splits": {"validation": 0.3, "test": 0.3}, "workers": 2}


def train(place: Place, number: int) -> Parameters:
    settings = {**TRAINING, "training.seed": number}
    return {"dataset": NAME, "preset": "tiny", "ranks": 2, "retry_seconds": 1, "settings": settings}


def sweep(place: Place, number: int) -> Parameters:
    search = {"training.learning_rate": {"low": 1e-3, "high": 1e-2}, "training.seed": [2 * number, 2 * number + 1]}
    fixed = {key.partition(".")[2]: value for key, value in TRAINING.items() if key.startswith("training.")}
    shape = {key.partition(".")[2]: value for key, value in TRAINING.items() if key.startswith("model.")}
    file = {"name": f"soak-{number}", "dataset": NAME, "trials": 2, "model": shape, "search": search}
    return {"file": {**file, "training": {**fixed, "steps": 20}}}


def critic(place: Place, number: int) -> Parameters:
    fitting = {"window": 40, "hidden": 8, "steps": 20, "batch": 2}
    return {"run": "latest", "train_pieces": 8, "held_out_pieces": 4, "critic": fitting, "seed": number}


def register(place: Place, number: int) -> Parameters:
    return {"run": "latest", "drawing": {"top_p": 0.5 + number % 1000 / 2500}}


def evaluate(place: Place, number: int) -> Parameters:
    sizes = {"pieces": 2, "references": 0, "length": 64, "copying": 0, "rolls": 0, "resamples": 10}
    return {"source": "candidate", "settings": {**sizes, "seed": number}}


def promote(place: Place, number: int) -> Parameters:
    return {"model": "candidate"}


def sample(place: Place, number: int) -> Parameters:
    return {"model": "candidate", "seed": number, "count": 2, **SHORT}


def sample_table(place: Place, number: int) -> Parameters:
    table = place.folder / f"table-{number}.json"
    table.write_text(json.dumps({"style": ["bach", "jazz"], "seed": [number, number + 1]}))
    return {"requests": str(table), "model": "candidate", "defaults": SHORT, "workers": 2}


def prepare_samples(place: Place, number: int) -> Parameters:
    return {"model": "candidate", "count": 1 + number % 3, "seconds": 4, "workers": 2}


def backup(place: Place, number: int) -> Parameters:
    return {"to": str(place.folder / "backups"), "keep": 2}


def gc(place: Place, number: int) -> Parameters:
    return {"keep": 100, "older_than": "0m", "remove": True}


FLOWS: dict[str, Callable[[Place, int], Parameters]] = {
    "ingest": ingest,
    "train": train,
    "critic": critic,
    "register": register,
    "evaluate": evaluate,
    "promote": promote,
    "sample": sample,
    "sample-table": sample_table,
    "prepare-samples": prepare_samples,
    "sweep": sweep,
    "backup": backup,
    "gc": gc,
}
"""The parameters of a run of each deployment, by number; in an order in which each finds what it needs."""
