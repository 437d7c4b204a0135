"""Figures of flows for Prometheus, in files for the textfile collector of its node_exporter.

A flow ends before anyone could ask it for figures over HTTP. So it leaves them in the folder that `MUSENET_METRICS`
names, where the collector finds them; without the variable nothing is written, and nothing imported. Each file is
replaced as a whole by a rename, and has a subject of its own, so that flows that run side by side do not meet.
`musenet serve` has its own figures (`registry.serving.metrics`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from flows.progress import warn
from modeling.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    RunStarted,
    StepTrained,
)

if TYPE_CHECKING:
    from tokenization.dataset.description import Description

METRICS_VARIABLE = "MUSENET_METRICS"
WRITE_SECONDS = 10.0
"""Least time between two writes of a training's steps; other events are written at once."""


@dataclass(frozen=True)
class Figure:
    """A gauge, by the name that dashboards and alerts know it by."""

    name: str
    meaning: str
    labels: tuple[str, ...]


_FLOW = ("flow", "outcome")
FLOW_END = Figure("musenet_flow_end_timestamp_seconds", "When a flow last ended with an outcome.", _FLOW)
FLOW_SECONDS = Figure("musenet_flow_duration_seconds", "How long it took then.", _FLOW)

DATASET_CREATED = Figure(
    "musenet_dataset_created_timestamp_seconds", "When the newest version was published.", ("dataset",)
)
DATASET_FILES = Figure(
    "musenet_dataset_files", "Files of that version by their status and its reason.", ("dataset", "status", "reason")
)
DATASET_PIECES = Figure("musenet_dataset_pieces", "Accepted pieces.", ("dataset", "split"))
DATASET_TOKENS = Figure("musenet_dataset_tokens", "Tokens of the shards.", ("dataset", "split"))
DATASET_SECONDS = Figure("musenet_dataset_music_seconds", "Music of the accepted pieces.", ("dataset",))
FILES_READ = Figure(
    "musenet_ingestion_new_files", "Files that the last ingestion read for the first time.", ("dataset",)
)
SHARDS_ENCODED = Figure("musenet_ingestion_encoded_shards", "Shards that the last ingestion encoded.", ("dataset",))

_RUN = ("dataset", "preset")
RUNNING = Figure("musenet_training_running", "1 while a run trains, 0 when its attempt has ended.", _RUN)
LAST_EVENT = Figure("musenet_training_event_timestamp_seconds", "When training last said anything.", _RUN)
STEP = Figure("musenet_training_step", "The last step.", _RUN)
STEPS = Figure("musenet_training_steps", "Steps that the run is configured for.", _RUN)
LOSS = Figure("musenet_training_loss_nats", "Loss of the last step, per token.", _RUN)
TOKEN_RATE = Figure("musenet_training_tokens_per_second", "Tokens of all ranks.", _RUN)
MFU = Figure("musenet_training_mfu_ratio", "Model FLOPs utilisation.", _RUN)
MEMORY = Figure("musenet_training_memory_bytes", "Memory of rank 0.", _RUN)
TOKEN_NATS = Figure("musenet_training_validation_token_nats", "Validation loss, per token.", _RUN)
NOTE_NATS = Figure("musenet_training_validation_note_nats", "Validation loss, per note.", _RUN)
CHECKPOINT = Figure("musenet_training_checkpoint_timestamp_seconds", "When a checkpoint was last complete.", _RUN)

FIGURES = (
    *(FLOW_END, FLOW_SECONDS, DATASET_CREATED, DATASET_FILES, DATASET_PIECES, DATASET_TOKENS, DATASET_SECONDS),
    *(FILES_READ, SHARDS_ENCODED, RUNNING, LAST_EVENT, STEP, STEPS, LOSS, TOKEN_RATE, MFU, MEMORY, TOKEN_NATS),
    *(NOTE_NATS, CHECKPOINT),
)
"""All that flows write."""


@dataclass(frozen=True)
class Reading:
    """The value of a figure."""

    figure: Figure
    labels: tuple[str, ...]
    """In the order of the figure's own."""
    value: float


@contextmanager
def measured(flow: str) -> Iterator[None]:
    """Write when a flow ended, with what outcome, and how long it took; the block is its run."""
    begun, outcome = time.time(), "completed"
    try:
        yield
    except Exception:
        outcome = "failed"
        raise
    except BaseException:  # interrupted or terminated
        outcome = "interrupted"
        raise
    finally:
        ended, labels = time.time(), (flow, outcome)
        # A file for each outcome: what is known of the others stays.
        _write(
            f"flow_{flow}_{outcome}",
            lambda: [Reading(FLOW_END, labels, ended), Reading(FLOW_SECONDS, labels, ended - begun)],
        )


def write_dataset(description: Description, files_read: int, shards_encoded: int) -> None:
    """Write what a version of a dataset holds, and what was done for it."""
    _write(f"dataset_{description.name}", lambda: list(_of_dataset(description, files_read, shards_encoded)))


def _of_dataset(description: Description, files_read: int, shards_encoded: int) -> Iterator[Reading]:
    name = description.name
    yield Reading(DATASET_CREATED, (name,), description.created.timestamp())
    yield Reading(DATASET_SECONDS, (name,), description.hours * 3600)
    yield Reading(FILES_READ, (name,), files_read)
    yield Reading(SHARDS_ENCODED, (name,), shards_encoded)
    for outcome, files in description.outcomes.items():
        status, _, reason = outcome.partition(": ")
        yield Reading(DATASET_FILES, (name, status, reason), files)
    for figure, counts in ((DATASET_PIECES, description.pieces), (DATASET_TOKENS, description.tokens)):
        for split, count in counts.items():
            yield Reading(figure, (name, split), count)


@dataclass
class _Training:
    """What the events of one attempt add up to."""

    labels: tuple[str, str]
    values: dict[Figure, float] = field(default_factory=dict)
    written: float = 0.0

    def add(self, event: Event) -> None:
        """Take an event in; write, unless it is a step and others have been written just now."""
        self.values |= _of_event(event) | {RUNNING: 1, LAST_EVENT: event.time}
        if not isinstance(event, StepTrained) or time.monotonic() - self.written >= WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        dataset, preset = self.labels
        _write(
            f"training_{dataset}_{preset}",
            lambda: [Reading(figure, self.labels, value) for figure, value in self.values.items()],
        )
        self.written = time.monotonic()


@contextmanager
def training_figures(dataset: str, preset: str) -> Iterator[Callable[[Event], None]]:
    """Yield a function that takes the events of a training, an attempt of which is the block."""
    training = _Training((dataset, preset))
    try:
        yield training.add
    finally:
        training.values[RUNNING] = 0
        training.write()


def _of_event(event: Event) -> dict[Figure, float]:
    match event:
        case RunStarted():
            return {STEP: event.step, STEPS: event.steps}
        case StepTrained():
            return {
                STEP: event.step,
                LOSS: event.loss,
                TOKEN_RATE: event.tokens_per_second,
                MFU: event.mfu,
                MEMORY: event.memory_gb * 1e9,
            }
        case Evaluated():
            return {TOKEN_NATS: event.nats_per_token, NOTE_NATS: event.nats_per_note}
        case CheckpointSaved():
            return {CHECKPOINT: event.time}
        case Finished():
            return {STEP: event.step}
        case _:
            return {}


def _write(subject: str, readings: Callable[[], list[Reading]]) -> None:
    """Write the file of a subject, where a folder is named; one that cannot be written to costs a warning."""
    folder = os.environ.get(METRICS_VARIABLE)
    if not folder:
        return
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()
    gauges: dict[Figure, Gauge] = {}
    for reading in readings():
        figure = reading.figure
        if figure not in gauges:
            gauges[figure] = Gauge(figure.name, figure.meaning, figure.labels, registry=registry)
        gauges[figure].labels(*reading.labels).set(reading.value)
    path = Path(folder).expanduser() / f"musenet_{re.sub(r'[^A-Za-z0-9._-]', '_', subject)}.prom"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry)
    except OSError as error:
        _warn_once(f"metrics: {path.parent} ({METRICS_VARIABLE}) cannot be written to: {error.strerror}")


@cache
def _warn_once(text: str) -> None:
    warn(text)
